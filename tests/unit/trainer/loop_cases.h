#pragma once
/// A model and a data set so small that a step takes a millisecond, for the tests of trainer/loop. Plain kernels and
/// one thread a rank, so that the thread ranks also run under ThreadSanitizer.
#include <optional>
#include <vector>

#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/token_samples.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

inline constexpr double kLoopDeadline_s = 60;
inline constexpr std::int32_t kLoopVocabulary = 33;

inline cpu::QueueSettings loop_queue() { return {.threads = 1, .pinned = {}, .isa = cpu::Isa::kPlain}; }

/// Tied embedding, biases and dropout: whatever could depend on the layout is there.
inline ModelSettings loop_model() {
  ModelSettings model;
  model.family = ModelFamily::kGpt2;
  model.layers = 1;
  model.width = 10;
  model.heads = 2;
  model.feed_forward_width = 17;
  model.vocabulary_size = kLoopVocabulary;
  model.context_length = 9;
  model.dropout = 0.1;
  model.initial_std = 0.2;
  return resolved(model);
}

/// Documents of odd sizes in which a token mostly follows from the one before it: there is something to learn.
class LoopData {
 public:
  explicit LoopData(std::int64_t documents = 65) {
    IndexedDatasetWriter writer(folder_ / "data", kLoopVocabulary);
    for (std::int64_t d = 0; d < documents; ++d) {
      std::vector<std::int32_t> tokens;
      for (std::int64_t i = 0; i < 7 + d % 13; ++i)
        tokens.push_back(std::int32_t((d * 5 + i * 3 + (i * d) % 2) % kLoopVocabulary));
      writer.add_document(tokens);
    }
    writer.finish();
    dataset_.emplace(folder_ / "data");
    settings_.held_out_fraction = 0.25;
  }

  TokenSamples samples(DataSplit split) const { return {*dataset_, settings_, loop_model().context_length, split}; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  ScratchFolder folder_;
  std::optional<IndexedDataset> dataset_;
  DataSettings settings_;
};

}  // namespace stoa::trainer
