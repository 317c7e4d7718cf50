#pragma once
/// RUN/metrics.jsonl as reports and the progress view read it. After a resume the later steps are written again, so the
/// last line of each (kind, step) counts; each attempt's "start" line is kept.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::cluster {

/// A number that was not finite when it was written (null in the file) is NaN here.
struct StepMetrics {
  std::int64_t step = 0;
  std::int64_t steps = 0;  ///< asked for
  double loss = 0;
  double gradient_norm = 0;
  double learning_rate = 0;
  std::int64_t consumed_tokens = 0;  ///< since step 0
  double step_s = 0;
  double tokens_per_s = 0;
  double model_flops_utilisation = 0;
  double peak_gflops = 0;
  std::int64_t resident_bytes = 0;
  double energy_j = 0;  ///< of all ranks since the attempt began
  std::string energy_source;
  std::string skipped;  ///< why the update was left out; empty: it was made
  std::string attempt;
  double time = 0;
};

struct EvaluationMetrics {
  std::int64_t step = 0;
  double loss = 0;
  double perplexity = 0;
  double bits_per_byte = 0;
  std::string attempt;
  double time = 0;
};

struct CheckpointMetrics {
  std::int64_t step = 0;
  std::int64_t bytes = 0;
  double seconds = 0;
  std::string attempt;
  double time = 0;
};

struct StartMetrics {
  std::int64_t step = 0;  ///< 0, or the step of the checkpoint it resumed from
  std::string attempt;
  std::int64_t ranks = 0;
  std::int64_t threads_per_rank = 0;
  std::string isa;
  std::int64_t parameters = 0;
  double time = 0;
  std::string host;
};

/// Each list but `starts` is in the order of steps.
struct RunMetrics {
  std::vector<StartMetrics> starts;
  std::vector<StepMetrics> steps;
  std::vector<EvaluationMetrics> evaluations;
  std::vector<CheckpointMetrics> checkpoints;
  double last_time = 0;  ///< the latest of all lines: the last sign of life; 0 where there is none
};

/// DataError "PLACE:LINE: ..." at a line that cannot be read. A kind it does not know is passed over; a last line
/// without its newline was torn by a crash and is passed over too.
RunMetrics parse_metrics(std::string_view text, std::string_view place);

/// As parse_metrics; an absent file is a run that has not come to its first line.
RunMetrics read_metrics(const std::filesystem::path& metrics_file);

}  // namespace stoa::cluster
