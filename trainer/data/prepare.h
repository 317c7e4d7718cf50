#pragma once
/// From files of text or JSON lines to tokenizer.json and PREFIX.{bin,idx}: what `stoa data prepare` does and `stoa
/// run` does first.
#include "stoa/base/log.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct PreparedData {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::int64_t text_bytes = 0;  ///< uncompressed; 0 where nothing had to be done
};

/// Makes what is missing: the tokenizer (trained on the text, vocabulary_size entries) and the data set (each document
/// followed by end-of-text, with checksums) from files as text_chunks.h reads them. A tokenizer of more than
/// vocabulary_size entries is a DataError. Whole files only, by rename; killed at any moment, the next call goes on and
/// makes the same bytes, and a call after the last finds everything there and only checks it: every token of a data set
/// of up to 2^28 tokens must be inside the vocabulary (a larger one is for `stoa data verify`). data.tokenizer may be
/// empty where the data set is there. A progress line each 2 seconds. threads 0: as many as there are processors.
PreparedData prepare_data(const DataSettings& settings, std::int64_t vocabulary_size, Log& log, int threads = 0);

/// Makes data.tokenizer from data.text where it is absent, which prepare_data does too.
void prepare_tokenizer(const DataSettings& settings, std::int64_t vocabulary_size, Log& log, int threads = 0);

}  // namespace stoa::trainer
