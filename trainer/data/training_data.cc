#include "stoa/trainer/data/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::trainer {
namespace {

/// The held-out part of a small source may hold no sample at all: a mixture is then judged by the others.
std::optional<TokenSamples> held_out_of(const IndexedDataset& dataset, const DataSettings& data,
                                        std::int64_t context_length) {
  if (data.held_out_fraction == 0) return std::nullopt;
  try {
    return TokenSamples(dataset, data, context_length, DataSplit::kHeldOut);
  } catch (const DataError&) {
    if (data.sources.empty()) throw;
    return std::nullopt;
  }
}

std::string available_text(const OpenSource& source) {
  if (source.available() == MixturePlan::kEndless) return fmt::format("{} without limit", source.settings.name);
  return fmt::format("{} {} ({} epochs of {})", source.settings.name, format_grouped(source.available()),
                     source.settings.max_epochs, format_grouped(source.train.samples_per_epoch()));
}

void check_shares(const std::deque<OpenSource>& sources, const TrainingData::Stage& stage) {
  const std::vector<std::int64_t> places = apportion(MixturePlan::kBlock, stage.weights);
  double sum = 0;
  for (const double weight : stage.weights) sum += weight;
  for (std::size_t s = 0; s < places.size(); ++s)
    if (places[s] == 0 && stage.weights[s] > 0)
      throw DataError(
          "data: source {} has weight {} of {:.6g} from step {} on, which is {:.3g} of the {} samples of a "
          "block: none would be drawn; give it more, or 0",
          sources[s].settings.name, stage.weights[s], sum, stage.from_step,
          static_cast<double>(MixturePlan::kBlock) * stage.weights[s] / sum, MixturePlan::kBlock);
}

}  // namespace

OpenSource::OpenSource(const DataSource& source, const DataSettings& data, std::int64_t context_length,
                       std::uint32_t number)
    : settings(source),
      dataset(source.prefix),
      train(dataset, data, context_length, DataSplit::kTrain, number),
      held_out(held_out_of(dataset, data, context_length)) {
  dataset.expect_random_reads();
}

std::int64_t OpenSource::available() const {
  if (settings.max_epochs == 0) return MixturePlan::kEndless;
  const double samples = std::floor(settings.max_epochs * static_cast<double>(train.samples_per_epoch()));
  return samples < static_cast<double>(MixturePlan::kEndless) ? static_cast<std::int64_t>(samples)
                                                              : MixturePlan::kEndless;
}

TrainingData::TrainingData(const DataSettings& settings, std::int64_t context_length, const RunLength& run) {
  for (const DataSource& source : sources_of(settings))
    sources_.emplace_back(source, settings, context_length, static_cast<std::uint32_t>(sources_.size()));
  if (!settings.sources.empty()) {
    mix(settings, run);
    if (settings.held_out_fraction > 0) mix_held_out(settings);
    return;
  }
  train_ = &sources_.front().train;
  if (sources_.front().held_out) held_out_ = &*sources_.front().held_out;
}

void TrainingData::mix(const DataSettings& settings, const RunLength& run) {
  if (settings.stages.empty() || settings.stages.front().from_step > 0)
    stages_.push_back({.from_step = 0, .weights = weights_of(settings, nullptr)});
  for (const MixtureStage& stage : settings.stages)
    stages_.push_back({.from_step = stage.from_step, .weights = weights_of(settings, &stage)});
  std::vector<PlannedStage> planned;
  for (const Stage& stage : stages_) {
    check_shares(sources_, stage);
    planned.push_back({.first_sample = stage.from_step * run.global_batch, .weights = stage.weights});
  }
  std::vector<std::int64_t> available;
  std::vector<const TokenSamples*> streams;
  for (const OpenSource& source : sources_) {
    available.push_back(source.available());
    streams.push_back(&source.train);
  }
  mixture_.emplace(MixturePlan(planned, available, settings.seed), streams, settings.document_rules());
  train_ = &*mixture_;
  const std::int64_t wanted = run.steps * run.global_batch;
  if (mixture_->samples() >= wanted) return;
  std::vector<std::string> texts;
  for (const OpenSource& source : sources_) texts.push_back(available_text(source));
  throw DataError(
      "data.sources: training.steps {} x training.global_batch {} = {} samples are wanted, but the mixture ends after "
      "{} "
      "(in step {}), when the sources with a weight there are used up: {}; raise max_epochs, or lower training.steps",
      run.steps, run.global_batch, format_grouped(wanted), format_grouped(mixture_->samples()),
      mixture_->samples() / run.global_batch + 1, fmt::join(texts, ", "));
}

void TrainingData::mix_held_out(const DataSettings& settings) {
  std::vector<const TokenSamples*> streams;
  std::vector<std::int64_t> available;
  std::vector<double> weights;
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    const std::optional<TokenSamples>& held_out = sources_[s].held_out;
    if (!held_out || stages_.front().weights[s] == 0) continue;
    streams.push_back(&*held_out);
    available.push_back(held_out->samples());
    weights.push_back(stages_.front().weights[s]);
  }
  if (streams.empty())
    throw DataError(
        "data.sources: the held-out documents of no source are enough for one sample "
        "(data.held_out_fraction {}): raise it, or set it to 0",
        settings.held_out_fraction);
  const PlannedStage only{.first_sample = 0, .weights = weights};
  held_out_mixture_.emplace(MixturePlan(std::span(&only, 1), available, settings.seed), streams,
                            settings.document_rules());
  held_out_ = &*held_out_mixture_;
}

}  // namespace stoa::trainer
