#pragma once
/// Where this user's runs are: STATE/stoa/runs, a line with the path of each run's directory, only ever appended to.
/// STATE is $XDG_STATE_HOME or ~/.local/state. Beside it a cache of what each run's event log folds to, so that ten
/// thousand of them are listed in a moment: an entry counts as long as its log has the same size, time and inode.
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/cluster/run_record.h"

namespace stoa::cluster {

class RunRegistry {
 public:
  /// In this user's state folder.
  RunRegistry();
  explicit RunRegistry(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Adds a run's directory, an absolute path; nothing where it is there already. Where the registry cannot be written
  /// nothing happens: the run has its own record.
  void add(const std::filesystem::path& run) const;
  /// Directories in the order in which they were added; also those that are gone. Lines that hold
  /// no path are passed over.
  std::vector<std::filesystem::path> runs() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace stoa::cluster
