#pragma once
/// Counting the words of texts on many threads.
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/tokenizer_training.h"
#include "stoa/trainer/data/tokenizer_training_runs.h"

namespace stoa::trainer {

/// Where texts come from, in portions of about a MiB.
class TrainingTexts {
 public:
  virtual ~TrainingTexts() = default;
  /// One thread at a time. False at the end.
  virtual bool next(TextChunk& chunk) = 0;
  /// Appends the texts of a chunk, which live as long as it and until the worker's next call. Each worker is one
  /// thread at a time, several at once.
  virtual void append_texts(int worker, const TextChunk& chunk, std::vector<std::string_view>& texts) = 0;
  /// The part of all texts that next() has given. One thread at a time, also with next().
  virtual double part_read() const = 0;
};

std::unique_ptr<TrainingTexts> texts_in_memory(std::span<const std::string_view> texts);
std::unique_ptr<TrainingTexts> texts_in_files(const TextInputs& inputs, int workers);

/// The words of all texts, in one SpillingWords a thread. Fills in documents, text, spilled bytes and, where words are
/// longer than kLongestWord, what was left out. progress(fraction) may be empty.
std::vector<SpillingWords> count_words(const TokenizerTraining& training, TrainingTexts& texts,
                                       const std::function<void(double)>& progress, TokenizerTrainingReport& report);

}  // namespace stoa::trainer
