#pragma once
/// `stoa status`, `logs`, `cancel`, `pause`, `resume` and `history`: what people ask of runs that exist.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/run_events.h"
#include "stoa/launcher/text_or_json.h"

namespace stoa::launcher {

/// The directory of a run: `word` itself where it is one, else the recorded run of that name or folder. UsageError
/// where there is none, or more than one.
std::filesystem::path find_run(const std::string& word);

struct StatusRequest {
  std::vector<std::string> runs;  ///< empty: all that are recorded
  bool all = false;               ///< also those that ended long ago
  TextOrJson format = TextOrJson::kText;
};
int show_status(const StatusRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

struct LogsRequest {
  std::string run;
  int lines = 50;
  bool follow = false;  ///< until the run stops
};
int show_logs(const LogsRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

/// Asks a run at work to save and stop, and takes a waiting job out of the queue. `now`: the job is ended at once.
enum class Haste { kSave, kNow };
int ask_run(const std::string& run, cluster::UserRequest request, Haste haste, std::FILE* out, const Clock& clock);

/// Submits a run that stopped again.
int resume_run(const std::string& run, std::FILE* out, std::FILE* progress, const Clock& clock);

/// Its events, each attempt beside what Slurm accounted for it.
int show_history(const std::string& run, TextOrJson format, std::FILE* out, std::FILE* progress);

}  // namespace stoa::launcher
