#pragma once
/// The data sets of an experiment, open: what a rank trains on and is judged by, be it one data set or a mixture.
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/mixture_plan.h"
#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/data/token_samples.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct OpenSource {
  OpenSource(const DataSource& source, const DataSettings& data, std::int64_t context_length, std::uint32_t number);

  OpenSource(const OpenSource&) = delete;
  OpenSource& operator=(const OpenSource&) = delete;

  /// Samples that may be drawn at most: floor(max_epochs x samples of an epoch), or MixturePlan::kEndless.
  std::int64_t available() const;

  DataSource settings;
  IndexedDataset dataset;
  TokenSamples train;
  std::optional<TokenSamples> held_out;  ///< nothing where the held-out part of a source of a mixture has no sample
};

/// Samples of several sources in the order of a plan. Borrows them.
class MixedSamples final : public SampleStream {
 public:
  MixedSamples(MixturePlan plan, std::vector<const TokenSamples*> sources, DocumentRules rules)
      : plan_(std::move(plan)), sources_(std::move(sources)), rules_(rules) {}

  std::int64_t samples() const override { return plan_.samples(); }
  void read(std::int64_t index, const SampleSpans& sample) const override {
    const Drawn drawn = plan_.at(index);
    sources_[drawn.source]->read(drawn.sample, sample);
  }
  DocumentRules document_rules() const override { return rules_; }
  const MixturePlan& plan() const { return plan_; }

 private:
  MixturePlan plan_;
  std::vector<const TokenSamples*> sources_;
  DocumentRules rules_;
};

/// Optimizer steps from 0, and samples of each.
struct RunLength {
  std::int64_t steps = 0;
  std::int64_t global_batch = 0;
};

class TrainingData {
 public:
  /// DataError where a source is missing, has too few tokens for one sample, has a weight that no place of a block
  /// comes from, or where the limits of all sources end the mixture before the run: with the samples wanted and
  /// available.
  TrainingData(const DataSettings& settings, std::int64_t context_length, const RunLength& run);

  TrainingData(const TrainingData&) = delete;
  TrainingData& operator=(const TrainingData&) = delete;

  const SampleStream& train() const { return *train_; }
  /// Of a mixture: one epoch of each source's held-out samples, drawn with the weights of step 0. Null where nothing
  /// is held out.
  const SampleStream* held_out() const { return held_out_; }
  const std::deque<OpenSource>& sources() const { return sources_; }
  /// Null where there is one data set and no mixture.
  const MixturePlan* plan() const { return mixture_ ? &mixture_->plan() : nullptr; }

  struct Stage {
    std::int64_t from_step = 0;
    std::vector<double> weights;  ///< by source
  };
  const std::vector<Stage>& stages() const { return stages_; }

 private:
  void mix(const DataSettings& settings, const RunLength& run);
  void mix_held_out(const DataSettings& settings);

  std::deque<OpenSource> sources_;
  std::vector<Stage> stages_;
  std::optional<MixedSamples> mixture_;
  std::optional<MixedSamples> held_out_mixture_;
  const SampleStream* train_ = nullptr;
  const SampleStream* held_out_ = nullptr;
};

}  // namespace stoa::trainer
