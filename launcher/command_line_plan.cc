#include <fmt/format.h>

#include <optional>

#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/launcher/memory_text.h"
#include "stoa/launcher/mixture_table.h"
#include "stoa/launcher/plan.h"
#include "stoa/trainer/kernels/peak.h"

namespace stoa::launcher {
namespace {

/// Of one core, with all that this process may use at work at once: a core alone reaches more.
double measured_core_gflops(trainer::Precision precision) {
  const std::vector<int> processors = allowed_processors();
  trainer::cpu::Queue queue({.threads = static_cast<int>(processors.size()), .pinned = processors});
  const bool bf16 = precision == trainer::Precision::kBf16;
  return measure_peak_gflops(queue, bf16 ? trainer::PeakKind::kBf16 : trainer::PeakKind::kFp32) / queue.threads();
}

class PlanCommand final : public Command {
 public:
  explicit PlanCommand(CLI::App& program)
      : Command(program.add_subcommand("plan", "Tell what an experiment needs and costs, without running it")) {
    add_experiment_words(app(), words_);
    app()
        .add_option("--utilisation", assumptions_.utilisation, "Model FLOPs reached, as a part of the peak")
        ->type_name("FRACTION")
        ->check(CLI::Range(0.001, 1.0, "from 0.001 to 1"))
        ->capture_default_str();
    app()
        .add_option("--peak-gflops", assumptions_.peak_gflops,
                    "Peak of one core or accelerator; else the machine file's, else measured")
        ->type_name("NUMBER")
        ->check(CLI::Range(1e-3, 1e12, "above 0"));
    auto* memory = app().add_flag("--memory", memory_, "Show what one rank takes, part by part, and each stage's sums");
    app()
        .add_option("--rank", rank_, "With --memory: which rank; else the one that takes most")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber)
        ->needs(memory);
  }

  int run(const Streams& streams) override {
    const Experiment experiment = read_experiment(words_.file, words_.overrides);
    const cluster::MachineSettings machine = cluster::read_machine(machine_file(experiment, words_.file));
    if (plan(experiment, machine, assumptions_).peak_gflops == 0 && machine.rate.resource == "core") {
      assumptions_.peak_gflops = measured_core_gflops(experiment.training.precision);
      assumptions_.peak_source = "measured now";
    }
    const Plan planned = plan(experiment, machine, assumptions_);
    const int rank = shown_rank(experiment, planned);
    fmt::print(streams.out, "{}", plan_text(planned, machine, assumptions_));
    if (const std::string part = mixture_part(experiment); !part.empty()) fmt::print(streams.out, "{}\n", part);
    if (memory_) fmt::print(streams.out, "\n{}", memory_text(experiment, planned.placement, rank));
    return 0;
  }

 private:
  int shown_rank(const Experiment& experiment, const Plan& planned) const {
    if (!rank_) return largest_rank(experiment, planned.placement);
    if (*rank_ >= planned.placement.ranks)
      throw UsageError("--rank {}: there are {} ranks, counted from 0", *rank_, planned.placement.ranks);
    return *rank_;
  }

  ExperimentWords words_;
  PlanAssumptions assumptions_;
  bool memory_ = false;
  std::optional<int> rank_;
};

}  // namespace

std::unique_ptr<Command> add_plan(CLI::App& program) { return std::make_unique<PlanCommand>(program); }

}  // namespace stoa::launcher
