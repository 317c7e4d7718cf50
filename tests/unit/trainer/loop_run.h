#pragma once
/// A run of the tests of trainer/loop: attempts on any number of thread ranks in one run directory.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <sstream>

#include "stoa/base/error.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/trainer/loop/training_loop.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::trainer {

/// A joule a question: what a rank has drawn is then the number of its steps.
class CountingPower final : public PowerMeter {
 public:
  double energy_j() override { return ++asked_; }
  std::string_view source() const override { return "modelled"; }

 private:
  double asked_ = 0;
};

/// One run directory of a run of twelve steps, trained by attempts on any number of ranks.
class LoopThreadRanksTraining : public testing::Test {
 protected:
  LoopThreadRanksTraining() {
    settings_.model = loop_model();
    settings_.model.layers = 4;
    settings_.training = {.steps = 12,
                          .global_batch = 8,
                          .micro_batch = 1,
                          .precision = Precision::kFp32,
                          .seed = 5,
                          .deterministic = true,
                          .spike = {.window = 4, .loss_deviations = 9, .norm_deviations = 9, .most_skips = 3}};
    settings_.optimizer = {.learning_rate = 0.03, .warmup_steps = 3};
    settings_.evaluation = {.every_steps = 5, .batches = 1};
  }

  /// What every rank's run() gave or threw; stop_after_: rank 0 is asked to stop in that step.
  std::vector<LoopOutcome> attempt(int data_ranks, const std::string& name) {
    return attempt({.mesh = {.data = data_ranks}}, name);
  }
  std::vector<LoopOutcome> attempt(const ParallelSettings& layout, const std::string& name) {
    settings_.parallel = layout;
    const int ranks = layout.mesh.ranks();
    std::vector<LoopOutcome> outcomes(std::size_t(ranks), LoopOutcome{});
    parallel::run_thread_ranks(ranks, kLoopDeadline_s, [&](parallel::Communicator& group) {
      outcomes[std::size_t(group.rank())] = train(group, name);
    });
    return outcomes;
  }

  LoopOutcome train(parallel::Communicator& group, const std::string& name) {
    cpu::Queue queue(loop_queue());
    const bool listens = group.rank() == 0 && heard_ != nullptr;
    Log log(listens ? heard_ : stderr, "test", listens ? LogLevel::kInfo : LogLevel::kError);
    checkpoint::CheckpointStore store(run_ / "checkpoints", name, log);
    const TokenSamples training = data_.samples(DataSplit::kTrain), held_out = data_.samples(DataSplit::kHeldOut);
    const std::vector<std::int32_t> token_bytes(kLoopVocabulary, 2);
    CountingPower power;
    Metrics metrics;
    if (group.rank() == 0) metrics = Metrics(run_ / "metrics.jsonl", nowhere_.get(), name, clock_);
    std::int64_t asked = 0;
    LoopProgress progress;
    TrainingLoop loop(settings_, {.queue = queue,
                                  .ranks = group,
                                  .store = store,
                                  .train = training,
                                  .held_out = &held_out,
                                  .token_bytes = token_bytes,
                                  .data_identity = {{"tokens", data_tokens_}, {"tokenizer", "33 letters"}},
                                  .power = power,
                                  .metrics = metrics,
                                  .clock = clock_,
                                  .log = log,
                                  .stop_requested = [&] { return ++asked == stop_after_ && group.rank() == 0; },
                                  .progress = progress});
    return loop.run();
  }

  std::vector<Json> lines(const std::string& kind) {
    std::vector<Json> found;
    std::istringstream text(read_bytes(run_ / "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      const Json object = parse_json(line, "metrics.jsonl");
      if (object.at("kind") == kind) found.push_back(object);
    }
    return found;
  }

  /// The numbers that training gave, without those of this machine and this moment: the last line of each step.
  std::map<std::string, Json> numbers() {
    std::map<std::string, Json> found;
    for (const char* kind : {"step", "evaluation"})
      for (const Json& line : lines(kind))
        for (const char* key : {"loss", "gradient_norm", "parameter_norm", "learning_rate", "skipped", "bits_per_byte"})
          if (line.contains(key)) found[fmt::format("{} {} {}", kind, line.at("step").dump(), key)] = line.at(key);
    return found;
  }

  /// Metrics and checkpoints of another run with the same data.
  void begin_anew() {
    std::filesystem::remove_all(run_ / "checkpoints");
    std::filesystem::remove(run_ / "metrics.jsonl");
  }

  /// Publishes the newest checkpoint once more, a step later or of that step, with one parameter of another value.
  void plant(float value, std::optional<std::int64_t> step = std::nullopt) {
    parallel::OneRank one;
    Log log(stderr, "test", LogLevel::kError);
    checkpoint::CheckpointStore store(run_ / "checkpoints", "2", log);
    const ParameterTable table = make_parameter_table(settings_.model);
    std::array<std::vector<float>, 3> values;
    std::vector<checkpoint::PieceToLoad> load;
    std::vector<checkpoint::PieceToSave> save;
    for (std::size_t i = 0; i < 3; ++i) {
      const char* group = std::array{"parameters", "adam_m", "adam_v"}[i];
      values[i].resize(std::size_t(table.elements));
      for (auto& piece : pieces_to_load(table, group, values[i])) load.push_back(std::move(piece));
      for (auto& piece : pieces_to_save(table, group, values[i])) save.push_back(std::move(piece));
    }
    auto state = store.load_newest(load, one);
    values[0][std::size_t(table.layers[0].feed_forward_in)] = value;
    state->step = step.value_or(state->step + 1);
    store.save(*state, save, one, {1});
  }

  std::string refusal() {
    return message_of<CheckpointError>([&] { attempt(2, "refused"); });
  }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  LoopSettings settings_;
  std::int64_t stop_after_ = -1;
  std::FILE* heard_ = nullptr;  ///< gets what rank 0 logs
  std::int64_t data_tokens_ = 777;
  LoopData data_;
  ScratchFolder run_;
  FakeClock clock_{1764000000};
  std::unique_ptr<std::FILE, Close> nowhere_{std::fopen("/dev/null", "w")};
};

}  // namespace stoa::trainer
