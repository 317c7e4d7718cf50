#include "stoa/checkpoint/hdf5_shard.h"

#include <fmt/format.h>

#include "stoa/checkpoint/hdf5_handle.h"

namespace stoa::checkpoint {
namespace {

/// Contiguous, allocated at once, never filled: only then does it have an offset to write at.
Hdf5Handle early_contiguous(const std::filesystem::path& path) {
  Hdf5Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, path, "H5Pcreate");
  check_hdf5(H5Pset_layout(list.get(), H5D_CONTIGUOUS), path, "H5Pset_layout");
  check_hdf5(H5Pset_alloc_time(list.get(), H5D_ALLOC_TIME_EARLY), path, "H5Pset_alloc_time");
  check_hdf5(H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER), path, "H5Pset_fill_time");
  check_hdf5(H5Pset_obj_track_times(list.get(), false), path, "H5Pset_obj_track_times");
  return list;
}

std::int64_t offset_of(const Hdf5Handle& dataset, const std::filesystem::path& path) {
  const haddr_t offset = H5Dget_offset(dataset.get());
  check_hdf5(offset == HADDR_UNDEF ? -1 : 0, path, "H5Dget_offset");
  return static_cast<std::int64_t>(offset);
}

void write_attribute(const Hdf5Handle& dataset, const char* name, const std::vector<std::int64_t>& values,
                     const std::filesystem::path& path) {
  if (values.empty()) return;  // a scalar has no dims to tell
  const hsize_t count = values.size();
  const Hdf5Handle space = simple_space(1, &count, path);
  const Hdf5Handle attribute(H5Acreate2(dataset.get(), name, H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose, path, "H5Acreate");
  check_hdf5(H5Awrite(attribute.get(), H5T_NATIVE_INT64, values.data()), path, "H5Awrite");
}

}  // namespace

std::string piece_dataset_path(const GlobalTensor& tensor, const parallel::Box& box) {
  std::string path = "/" + tensor.name + "/@";
  for (std::size_t d = 0; d < box.begin.size(); ++d)
    path += fmt::format("{}{}:{}", d == 0 ? "" : ",", box.begin[d], box.begin[d] + box.size[d]);
  return path;
}

TablePlace create_hdf5_shard(const std::filesystem::path& path, std::vector<StoredPiece>& pieces) {
  const Hdf5Session session;
  Hdf5Handle file = create_hdf5_file(path);
  const Hdf5Handle creation = early_contiguous(path);
  const Hdf5Handle links = link_creation();
  for (StoredPiece& piece : pieces) {
    const std::vector<hsize_t> extents(piece.box.size.begin(), piece.box.size.end());
    const Hdf5Handle space = simple_space(extents.size(), extents.data(), path);
    const Hdf5Handle dataset(H5Dcreate2(file.get(), piece_dataset_path(piece.tensor, piece.box).c_str(), H5T_IEEE_F32LE,
                                        space.get(), links.get(), creation.get(), H5P_DEFAULT),
                             H5Dclose, path, "creating the dataset of " + piece.tensor.name);
    write_attribute(dataset, "global_shape", piece.tensor.shape, path);
    write_attribute(dataset, "box_begin", piece.box.begin, path);
    piece.offset = offset_of(dataset, path);
  }
  TablePlace table;
  {
    const hsize_t bytes = format_piece_table(pieces).size();
    const Hdf5Handle space = simple_space(1, &bytes, path);
    const Hdf5Handle dataset(
        H5Dcreate2(file.get(), "/piece_table", H5T_STD_U8LE, space.get(), links.get(), creation.get(), H5P_DEFAULT),
        H5Dclose, path, "creating /piece_table");
    table = {offset_of(dataset, path), static_cast<std::int64_t>(bytes)};
  }
  file.close(path);
  return table;
}

}  // namespace stoa::checkpoint
