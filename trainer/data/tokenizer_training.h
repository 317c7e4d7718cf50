#pragma once
/// Trains a byte-level BPE tokenizer on any amount of text with bounded memory; what `stoa tokenizer train` does, and
/// `stoa data prepare` where a tokenizer is missing. For texts in memory there is train_tokenizer of tokenizer.h.
///
/// Three steps: count the pre-tokens ("words") exactly, on many threads, with sorted runs in a scratch file where
/// memory is full; keep all words, or the most frequent where memory_bytes does not hold all; merge the most frequent
/// pair of tokens in them, ties by the smaller pair of ids, until the vocabulary is full. Neither the number of threads
/// nor what was spilled changes a byte of the result.
///
/// The merges are those of Hugging Face's BpeTrainer without its limits (min_frequency, max_token_length,
/// limit_alphabet), with all 256 bytes as initial alphabet; but words over 4 MiB are left out.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "stoa/base/log.h"
#include "stoa/trainer/data/text_chunks.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {

struct TokenizerTraining {
  static constexpr std::int64_t kLeastMemory = std::int64_t{1} << 20;

  std::int64_t vocabulary_size = 0;  ///< 256 bytes, merges, and "<|endoftext|>" as the last id
  PreTokenizer pre_tokenizer = PreTokenizer::kGpt2;
  int threads = 1;
  std::int64_t memory_bytes = std::int64_t{2}
                              << 30;           ///< of words and pairs; text being read takes some MiB a thread more
  std::filesystem::path scratch_folder = ".";  ///< for words that memory does not hold; nothing ever stays there
};

/// What the tokenizer was trained on.
struct TokenizerTrainingReport {
  std::int64_t documents = 0;
  std::int64_t text_bytes = 0;
  std::int64_t words = 0;  ///< different ones
  std::int64_t occurrences = 0;
  std::int64_t words_left_out = 0;  ///< because memory_bytes did not hold them, or too long: the rarest
  std::int64_t occurrences_left_out = 0;
  std::int64_t spilled_bytes = 0;
};

struct TrainedTokenizer {
  Tokenizer tokenizer;
  TokenizerTrainingReport report;
};

/// Logs a progress line each 2 seconds, and a warning where words were left out. DataError where the files hold no text
/// or do not yield that many merges, as TextChunkReader has it, and for a vocabulary_size under 257 or memory_bytes
/// under kLeastMemory; StorageError with the folder where words cannot be spilled. REQUIRES: inputs name a file.
TrainedTokenizer train_tokenizer(const TokenizerTraining& training, const TextInputs& inputs, Log& log);

/// The same for texts in memory. progress(fraction) may be empty.
TrainedTokenizer train_tokenizer(const TokenizerTraining& training, std::span<const std::string_view> texts,
                                 const std::function<void(double)>& progress = {});

}  // namespace stoa::trainer
