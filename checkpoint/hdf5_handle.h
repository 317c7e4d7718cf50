#pragma once
/// Owners of HDF5 identifiers, for hdf5_*.cc only.
#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

namespace stoa::checkpoint {

/// One thread at a time in the library, whose serial build makes no promise about threads, and silence on stderr:
/// failures become exceptions.
class Hdf5Session {
 public:
  Hdf5Session();

 private:
  std::lock_guard<std::mutex> lock_;
};

/// Move-only owner.
class Hdf5Handle {
 public:
  using Closer = herr_t (*)(hid_t);

  /// StorageError "PATH: ACTION failed: <HDF5's reason>" where `id` is negative.
  Hdf5Handle(hid_t id, Closer closer, const std::filesystem::path& path, std::string_view action);
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Hdf5Handle& operator=(Hdf5Handle&&) = delete;
  ~Hdf5Handle();

  hid_t get() const { return id_; }
  /// Closes now, so that a failure to write is heard.
  void close(const std::filesystem::path& path);

 private:
  hid_t id_;
  Closer closer_;
};

/// StorageError where an HDF5 call returned a negative status.
void check_hdf5(herr_t status, const std::filesystem::path& path, std::string_view action);

/// A new file whose metadata any HDF5 from 1.10 on reads; large datasets begin at multiples of 1 MiB.
Hdf5Handle create_hdf5_file(const std::filesystem::path& path);
/// Creates the groups on the way to a dataset.
Hdf5Handle link_creation();
Hdf5Handle simple_space(std::size_t dims, const hsize_t* extents, const std::filesystem::path& path);

}  // namespace stoa::checkpoint
