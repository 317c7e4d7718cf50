#pragma once
/// What a person sees of an attempt: the ranks' lines as progress, with the price so far.
#include <cstdio>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/cluster/price.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/progress.h"
#include "stoa/launcher/run_preparation.h"

namespace stoa::launcher {

/// Of the terminal behind a stream; 80 where there is none.
int terminal_columns(std::FILE* stream);

class RunView {
 public:
  /// A line that is drawn again on a terminal, lines elsewhere. Borrows everything.
  RunView(std::FILE* stream, const PreparedRun& run, const Clock& clock);

  /// A new attempt; `before`: what the earlier ones used.
  void begin(const cluster::AttemptStarted& started, const std::vector<cluster::UsageRecord>& before);
  /// A line of the ranks: metrics as progress, anything else as it is.
  void hear(const std::string& line);
  void say(const std::string& line) { view_.say(line); }
  void saving() { view_.saving(); }
  void end() { view_.end(); }

 private:
  std::string price_now(const cluster::StepMetrics& step) const;

  const PreparedRun& run_;
  const Clock& clock_;
  ProgressView view_;
  cluster::AttemptStarted started_;
  cluster::Price spent_;
};

}  // namespace stoa::launcher
