#include "stoa/checkpoint/hdf5_global_view.h"

#include <limits>
#include <map>
#include <vector>

#include "stoa/checkpoint/hdf5_handle.h"
#include "stoa/checkpoint/hdf5_shard.h"

namespace stoa::checkpoint {
namespace {

using Extents = std::vector<hsize_t>;

/// A virtual dataset maps selections, which a scalar space does not have: a scalar is shown as one element of one dim.
Extents view_extents(const std::vector<std::int64_t>& sizes) {
  if (sizes.empty()) return {1};
  return {sizes.begin(), sizes.end()};
}

Hdf5Handle virtual_creation(const std::filesystem::path& path) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Hdf5Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, path, "H5Pcreate");
  check_hdf5(H5Pset_fill_value(list.get(), H5T_NATIVE_FLOAT, &nan), path, "H5Pset_fill_value");
  check_hdf5(H5Pset_obj_track_times(list.get(), false), path, "H5Pset_obj_track_times");
  return list;
}

void map_piece(const Hdf5Handle& creation, const Hdf5Handle& whole, const PieceSource& source,
               const std::filesystem::path& path) {
  const Extents sizes = view_extents(source.piece.box.size);
  Extents begin(source.piece.box.begin.begin(), source.piece.box.begin.end());
  begin.resize(sizes.size(), 0);
  check_hdf5(H5Sselect_hyperslab(whole.get(), H5S_SELECT_SET, begin.data(), nullptr, sizes.data(), nullptr), path,
             "H5Sselect_hyperslab");
  const Hdf5Handle part = simple_space(source.piece.box.size.size(), sizes.data(), path);
  check_hdf5(H5Pset_virtual(creation.get(), whole.get(), source.file.c_str(),
                            piece_dataset_path(source.piece.tensor, source.piece.box).c_str(), part.get()),
             path, "H5Pset_virtual");
}

}  // namespace

void write_global_view(const std::filesystem::path& path, std::span<const GlobalTensor> tensors,
                       std::span<const PieceSource> pieces) {
  std::multimap<std::string_view, const PieceSource*> by_tensor;
  for (const PieceSource& source : pieces)
    if (source.piece.box.elements() > 0) by_tensor.emplace(source.piece.tensor.name, &source);
  const Hdf5Session session;
  Hdf5Handle file = create_hdf5_file(path);
  const Hdf5Handle links = link_creation();
  for (const GlobalTensor& tensor : tensors) {
    const Hdf5Handle creation = virtual_creation(path);
    const Extents shape = view_extents(tensor.shape);
    const Hdf5Handle whole = simple_space(shape.size(), shape.data(), path);
    const auto [first, last] = by_tensor.equal_range(tensor.name);
    for (auto source = first; source != last; ++source) map_piece(creation, whole, *source->second, path);
    const Hdf5Handle dataset(H5Dcreate2(file.get(), ("/" + tensor.name).c_str(), H5T_IEEE_F32LE, whole.get(),
                                        links.get(), creation.get(), H5P_DEFAULT),
                             H5Dclose, path, "creating the dataset of " + tensor.name);
  }
  file.close(path);
}

}  // namespace stoa::checkpoint
