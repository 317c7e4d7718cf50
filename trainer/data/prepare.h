#pragma once
/// From text files to tokenizer.json and PREFIX.{bin,idx}: what `stoa data prepare` does and `stoa run` does first.
#include "stoa/base/log.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct PreparedData {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::int64_t text_bytes = 0;  ///< 0 where nothing had to be done
};

/// Makes what is missing: the tokenizer (trained on the text, vocabulary_size entries) and the data set (each document
/// followed by end-of-text, with checksums). A tokenizer of more than vocabulary_size entries is a DataError. Whole
/// files only, by rename; a second call finds everything there and only checks it: every token of a data set of up to
/// 2^28 tokens must be inside the vocabulary (a larger one is for `stoa validate --deep`). data.tokenizer may be empty
/// where the data set is there. A progress line each 2 seconds.
PreparedData prepare_data(const DataSettings& settings, std::int64_t vocabulary_size, Log& log);

}  // namespace stoa::trainer
