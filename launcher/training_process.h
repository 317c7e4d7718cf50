#pragma once
/// Runs the ranks of one attempt under this process: their lines, the user's signals, their end.
#include <functional>
#include <string>

#include "stoa/base/process.h"

namespace stoa::launcher {

enum class StopRequest {
  kNone,
  kSave,   ///< asked once: the ranks save and end in order
  kAtOnce  ///< asked again: they are killed
};

struct TrainingEnd {
  ProcessEnd process;
  StopRequest stop = StopRequest::kNone;
  int stop_signal = 0;  ///< the signal that asked last
};

struct TrainingEvents {
  std::function<void(const std::string&)> line;  ///< of standard output
  std::function<void(StopRequest)> stop_asked;
};

/// Starts the command, its output on a pipe, and returns when it has ended. SIGINT, SIGTERM and SIGHUP to this process
/// ask for a stop meanwhile: the first one sends SIGUSR2 to the command, the next one kills it. Call from the main
/// thread.
TrainingEnd run_training(ProcessSettings command, const TrainingEvents& events);

/// mpirun on this machine. ResourceError where a program is missing, naming the package that has it.
struct RankCommand {
  std::filesystem::path spec;
  std::string attempt;
  int ranks = 1;
};
ProcessSettings rank_command(const RankCommand& command);

}  // namespace stoa::launcher
