#include "stoa/launcher/training_rank.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/processors.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/cluster/power.h"
#include "stoa/launcher/build_identity.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/trainer/data/data_identity.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/training_data.h"
#include "stoa/trainer/layout_check.h"
#include "stoa/trainer/loop/text_evaluation.h"
#include "stoa/trainer/loop/training_loop.h"

namespace stoa::launcher {
namespace {

/// The cluster's meters as the loop's: measured where the machine tells, modelled from its file elsewhere.
class RankPower final : public trainer::PowerMeter {
 public:
  RankPower(const cluster::MachineSettings& machine, int threads, const Clock& clock)
      : share_(cluster::node_share(threads, machine.node.processors)),
        measured_(cluster::RaplEnergy::open(share_)),
        modelled_(machine.power, share_, clock) {}

  double energy_j() override { return measured_ ? measured_->energy_j() : modelled_.energy_j(); }
  std::string_view source() const override { return measured_ ? measured_->source() : modelled_.source(); }

 private:
  double share_;
  std::optional<cluster::RaplEnergy> measured_;
  cluster::ModelledPower modelled_;
};

void write_outcome(const std::filesystem::path& file, Json outcome, const Clock& clock) {
  outcome["time"] = clock.unix_s();
  write_file_durably(file, outcome.dump(1) + "\n");
}

trainer::cpu::QueueSettings queue_settings(const Experiment& experiment, const parallel::Communicator& ranks,
                                           const std::vector<int>& processors) {
  trainer::cpu::QueueSettings settings;
  settings.threads =
      experiment.parallel.threads_per_rank > 0 ? experiment.parallel.threads_per_rank : int(processors.size());
  const bool own = ranks.local_size() * settings.threads <= int(allowed_processors().size());
  if (own && std::ssize(processors) >= settings.threads) settings.pinned = processors;
  return settings;
}

/// A rank that lost the others has a story only where none of them has one.
void publish_outcome(const std::filesystem::path& own, const std::filesystem::path& outcome, ErrorKind kind) {
  if (kind != ErrorKind::kComm) return rename_durably(own, outcome);
  const bool published = ::link(own.c_str(), outcome.c_str()) == 0;
  const int failure = errno;
  std::filesystem::remove(own);
  if (!published && failure != EEXIST) throw StorageError("{}: {}", outcome.string(), errno_message(failure));
}

}  // namespace

void train_rank(const RankOptions& options, parallel::Communicator& ranks, Log& log,
                const std::function<bool()>& stop_requested, trainer::LoopProgress& progress) {
  const SystemClock clock;
  require_one_build(ranks);
  const std::filesystem::path run_directory = options.spec.parent_path();
  const Experiment experiment = read_experiment(options.spec, options.overrides);
  const cluster::MachineSettings machine = cluster::read_machine(machine_file(experiment, options.spec));
  if (const auto wrong = trainer::check_ranks(experiment.model, experiment.training, experiment.parallel, ranks.size()))
    throw ConfigError("{}: {}", options.spec.string(), wrong->message);

  const std::vector<int> processors = share_of_processors(allowed_processors(), ranks.local_size(), ranks.local_rank());
  trainer::cpu::Queue queue(queue_settings(experiment, ranks, processors));
  const trainer::TrainingData data(experiment.data, experiment.model.context_length,
                                   {experiment.training.steps, experiment.training.global_batch});
  std::vector<std::int32_t> token_bytes(std::size_t(experiment.model.vocabulary_size), 0);
  std::string tokenizer_fingerprint;
  if (!experiment.data.tokenizer.empty()) {
    const auto tokenizer = trainer::Tokenizer::load(experiment.data.tokenizer);
    token_bytes = trainer::text_bytes_of_tokens(tokenizer);
    token_bytes.resize(std::size_t(std::max(experiment.model.vocabulary_size, tokenizer.vocabulary_size())));
    tokenizer_fingerprint = tokenizer.fingerprint();
  }

  checkpoint::CheckpointStore store(run_directory / "checkpoints", options.attempt, log);
  RankPower power(machine, queue.threads(), clock);
  trainer::Metrics metrics;
  if (ranks.rank() == 0) metrics = trainer::Metrics(run_directory / "metrics.jsonl", stdout, options.attempt, clock);

  trainer::TrainingLoop loop({experiment.model, experiment.training, experiment.parallel, experiment.optimizer,
                              experiment.checkpoint, experiment.evaluation},
                             {.queue = queue,
                              .ranks = ranks,
                              .store = store,
                              .train = data.train(),
                              .held_out = data.held_out(),
                              .token_bytes = token_bytes,
                              .data_identity = trainer::data_identity(data, experiment.data, tokenizer_fingerprint),
                              .power = power,
                              .metrics = metrics,
                              .clock = clock,
                              .log = log,
                              .stop_requested = stop_requested,
                              .progress = progress});
  const trainer::LoopOutcome outcome = loop.run();
  if (ranks.rank() == 0)
    write_outcome(run_directory / "outcome.json",
                  {{"version", 1},
                   {"attempt", options.attempt},
                   {"kind", outcome.finished ? "finished" : "saved"},
                   {"step", outcome.step},
                   {"checkpoint", fmt::format("step-{:08}", outcome.step)},
                   {"error_kind", ""},
                   {"message", ""},
                   {"energy_j", outcome.energy_j}},
                  clock);
  ranks.barrier("end of the attempt");
}

void write_failure(const RankOptions& options, int rank, const std::exception& failure, Log& log) {
  const auto* known = dynamic_cast<const Error*>(&failure);
  const ErrorKind kind = known != nullptr ? known->kind() : ErrorKind::kInternal;
  const std::filesystem::path run_directory = options.spec.parent_path();
  // All ranks may fail at once: each writes a file of its own, and any of them is the whole story.
  const std::filesystem::path own = run_directory / fmt::format("outcome.json.rank-{}", rank);
  try {
    write_outcome(own,
                  {{"version", 1},
                   {"attempt", options.attempt},
                   {"kind", "failed"},
                   {"step", 0},
                   {"checkpoint", ""},
                   {"error_kind", error_kind_name(kind)},
                   {"message", failure.what()},
                   {"energy_j", 0.0}},
                  SystemClock());
    publish_outcome(own, run_directory / "outcome.json", kind);
  } catch (const Error& second) {
    log.error("the outcome could not be written: {}", second.what());
  }
}

}  // namespace stoa::launcher
