#include "stoa/checkpoint/hdf5_handle.h"

#include <string>

#include "stoa/base/error.h"

namespace stoa::checkpoint {
namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;  // HDF5's state is one per process
  return mutex;
}

/// "No space left on device" from HDF5's "time = ..., file descriptor = 3, errno = 28, error message = 'No space left
/// ...', ...".
std::string system_reason(const std::string& text) {
  constexpr std::string_view kBefore = "error message = '";
  const std::size_t at = text.find(kBefore);
  if (at == std::string::npos) return text;
  const std::size_t begin = at + kBefore.size();
  return text.substr(begin, text.find('\'', begin) - begin);
}

/// The innermost message of the failed call: the one with the system's reason.
std::string innermost_reason() {
  std::string reason = "unknown reason";
  const auto take = [](unsigned, const H5E_error2_t* error, void* text) -> herr_t {
    if (error->desc != nullptr && *error->desc != '\0') *static_cast<std::string*>(text) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take, &reason);
  H5Eclear2(H5E_DEFAULT);
  return system_reason(reason);
}

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view action) {
  throw StorageError("{}: {} failed: {}", path.string(), action, innermost_reason());
}

}  // namespace

Hdf5Session::Hdf5Session() : lock_(library_mutex()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Hdf5Handle::Hdf5Handle(hid_t id, Closer closer, const std::filesystem::path& path, std::string_view action)
    : id_(id), closer_(closer) {
  if (id_ < 0) fail(path, action);
}

Hdf5Handle::~Hdf5Handle() {
  if (id_ >= 0) closer_(id_);
}

void Hdf5Handle::close(const std::filesystem::path& path) {
  check_hdf5(closer_(std::exchange(id_, -1)), path, "closing the HDF5 file");
}

void check_hdf5(herr_t status, const std::filesystem::path& path, std::string_view action) {
  if (status < 0) fail(path, action);
}

Hdf5Handle create_hdf5_file(const std::filesystem::path& path) {
  constexpr hsize_t kLeastBytes = 64 << 10, kAlignment = 4096;
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, path, "H5Pcreate");
  check_hdf5(H5Pset_alignment(access.get(), kLeastBytes, kAlignment), path, "H5Pset_alignment");
  check_hdf5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V110), path, "H5Pset_libver_bounds");
  // The folder belongs to one attempt; parallel file systems often have no flock.
  check_hdf5(H5Pset_file_locking(access.get(), false, true), path, "H5Pset_file_locking");
  return {H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.get()), H5Fclose, path, "creating the HDF5 file"};
}

Hdf5Handle link_creation() {
  Hdf5Handle list(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "", "H5Pcreate");
  check_hdf5(H5Pset_create_intermediate_group(list.get(), 1), "", "H5Pset_create_intermediate_group");
  return list;
}

Hdf5Handle simple_space(std::size_t dims, const hsize_t* extents, const std::filesystem::path& path) {
  if (dims == 0) return {H5Screate(H5S_SCALAR), H5Sclose, path, "H5Screate"};
  return {H5Screate_simple(static_cast<int>(dims), extents, nullptr), H5Sclose, path, "H5Screate_simple"};
}

}  // namespace stoa::checkpoint
