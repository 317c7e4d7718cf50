#pragma once
/// What a run says while it trains: pure functions from metrics to text, and the view that writes them.
#include <cstdio>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/cluster/run_metrics.h"

namespace stoa::launcher {

struct Progress {
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double loss = 0;
  double tokens_per_s = 0;
  double seconds_left = 0;
  std::string price;  ///< "0.0021 EUR", of the run so far
  enum class State { kTraining, kSaving } state = State::kTraining;
};

/// One line of at most `columns` columns; what does not fit is left out from the right, the bar first.
std::string progress_line(const Progress& progress, int columns);
/// The same for a log file.
std::string progress_text(const Progress& progress);
std::string start_text(const cluster::StartMetrics& start);
std::string evaluation_text(const cluster::EvaluationMetrics& evaluation);
std::string checkpoint_text(const cluster::CheckpointMetrics& checkpoint);

enum class ProgressForm {
  kLive,   ///< one line that is drawn again
  kLines,  ///< a line each log_every steps, at most one in 2 s
};

/// Borrows the stream and the clock.
class ProgressView {
 public:
  struct Settings {
    ProgressForm form = ProgressForm::kLines;
    int columns = 80;
    std::int64_t log_every = 1;
  };
  ProgressView(std::FILE* stream, const Clock& clock, const Settings& settings)
      : stream_(stream), clock_(clock), settings_(settings) {}

  /// `price`: of the run up to now.
  void show(const cluster::StepMetrics& step, const std::string& price);
  /// A line that stays.
  void say(const std::string& line);
  void saving();
  /// Takes the live line away.
  void end();

 private:
  void draw();

  std::FILE* stream_;
  const Clock& clock_;
  Settings settings_;
  Progress now_;
  double mean_step_s_ = 0;
  double shown_s_ = -1e9;
  bool drawn_ = false;
};

}  // namespace stoa::launcher
