#include "stoa/launcher/drill.h"

#include <bit>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/units.h"
#include "stoa/cluster/run_metrics.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/run_preparation.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

/// Empty where both made the same steps with the same losses and gradient norms.
std::string difference(const cluster::RunMetrics& a, const cluster::RunMetrics& b) {
  if (a.steps.size() != b.steps.size())
    return fmt::format("{} steps in peace, {} through the fault", a.steps.size(), b.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i)
    if (!same_bits(a.steps[i].loss, b.steps[i].loss) || !same_bits(a.steps[i].gradient_norm, b.steps[i].gradient_norm))
      return fmt::format("step {}: loss {} and gradient norm {} in peace, {} and {} through the fault", a.steps[i].step,
                         a.steps[i].loss, a.steps[i].gradient_norm, b.steps[i].loss, b.steps[i].gradient_norm);
  return "";
}

void describe(const cluster::RunState& life, const cluster::RunMetrics& metrics, std::FILE* out) {
  for (std::size_t i = 0; i < life.attempts.size(); ++i) {
    const cluster::Attempt& attempt = life.attempts[i];
    if (!attempt.ended) continue;
    const cluster::AttemptEnded& ended = *attempt.ended;
    fmt::print(out, "attempt {}: {} at step {}{}{}\n", ended.attempt, outcome_name(ended.outcome), ended.step,
               ended.cause == cluster::EndCause::kNone ? "" : ", cause: ", cause_name(ended.cause));
    if (i + 1 == life.attempts.size()) continue;
    const std::string& next = life.attempts[i + 1].started.attempt;
    for (const cluster::StepMetrics& step : metrics.steps)
      if (step.attempt == next) {
        fmt::print(out, "  checkpoint of step {}, {} steps lost, training again after {}\n", ended.checkpoint_step,
                   ended.step - std::max<std::int64_t>(0, ended.checkpoint_step),
                   format_duration(step.time - ended.time));
        break;
      }
  }
}

}  // namespace

int drill(const DrillRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  if (request.steps < 8) throw UsageError("a drill needs 8 steps at least, not {}", request.steps);
  const Experiment experiment = read_experiment(request.experiment_file, request.overrides);
  const fs::path folder = experiment.run_directory + "-drill";
  fs::remove_all(folder);
  RunRequest peace{.experiment_file = request.experiment_file, .overrides = request.overrides};
  for (const std::string& each :
       {fmt::format("training.steps={}", request.steps), fmt::format("checkpoint.every_steps={}", request.steps / 4),
        std::string("checkpoint.keep_last=2"), std::string("evaluation.every_steps=0")})
    peace.overrides.push_back(each);
  RunRequest fault = peace;
  // As a value of YAML, whatever the path holds.
  peace.overrides.push_back("run_directory=" + Json((folder / "peace").string()).dump());
  fault.overrides.push_back("run_directory=" + Json((folder / "fault").string()).dump());
  fault.drill = Drill{request.fault, request.steps / 2 + 1};

  std::FILE* quiet = std::fopen("/dev/null", "w");
  if (quiet == nullptr) throw ResourceError("/dev/null cannot be opened");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> owner(quiet, std::fclose);
  fmt::print(progress, "in peace, {} steps:\n", request.steps);
  if (const int code = run_locally(peace, quiet, progress, clock); code != kExitFinished) return code;
  fmt::print(progress, "through the fault:\n");
  if (const int code = run_locally(fault, quiet, progress, clock); code != kExitFinished) return code;

  const cluster::RunMetrics a = cluster::read_metrics(folder / "peace/metrics.jsonl");
  const cluster::RunMetrics b = cluster::read_metrics(folder / "fault/metrics.jsonl");
  describe(cluster::read_run_state(folder / "fault/events.jsonl"), b, out);
  const std::string differs = difference(a, b);
  if (!request.keep && differs.empty()) fs::remove_all(folder);
  if (differs.empty()) {
    fmt::print(out, "the losses of all {} steps are the same, bit for bit\n", a.steps.size());
    return kExitFinished;
  }
  fmt::print(out, "the losses differ: {}; both runs are in {}\n", differs, folder.string());
  return exit_code(ErrorKind::kNumeric);
}

}  // namespace stoa::launcher
