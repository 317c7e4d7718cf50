#pragma once
/// From files of documents to PREFIX.{bin,idx}, by several threads and in bounded memory.
#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/trainer/data/text_chunks.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::trainer {

struct EncodedText {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::int64_t text_bytes = 0;  ///< of the files, uncompressed
};

/// Each document followed by end-of-text. The same bytes for any number of threads, and after any crash
/// (prepare_journal.h). DataError where the files hold no document or change while they are read. A progress line each
/// 2 seconds. REQUIRES: threads >= 1.
EncodedText encode_files(const TextInputs& inputs, const Tokenizer& tokenizer, const std::filesystem::path& prefix,
                         int threads, Log& log, const Clock& clock);

}  // namespace stoa::trainer
