#pragma once
/// A folder of results that appears whole or not at all: filled beside its place, then renamed into it.
#include <filesystem>

#include "stoa/base/durable_file.h"

namespace stoa {

class NewFolder {
 public:
  /// Makes PATH.partial anew; a slash at PATH's end does not matter. UsageError where PATH is there already: nothing is
  /// ever replaced. ResourceError where another process fills the same one; what a killed one left is removed.
  explicit NewFolder(std::filesystem::path path);
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  /// Removes what was not published.
  ~NewFolder();

  /// Where to write.
  const std::filesystem::path& partial() const { return partial_; }
  /// Everything in it was fsynced by who wrote it; this fsyncs the folder and renames it.
  void publish();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  FileDescriptor lock_;  ///< of the folder itself: it goes with the rename, so nobody comes in between
};

}  // namespace stoa
