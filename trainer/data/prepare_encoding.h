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

/// Lets one line through each two seconds.
class ProgressLines {
 public:
  ProgressLines(Log& log, const Clock& clock)
      : log_(log), clock_(clock), began_s_(clock.monotonic_s()), last_s_(began_s_) {}

  double elapsed_s() const { return clock_.monotonic_s() - began_s_; }

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    constexpr double kEvery_s = 2;
    const double now_s = clock_.monotonic_s();
    if (now_s - last_s_ < kEvery_s) return;
    last_s_ = now_s;
    log_.info("{}", fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  Log& log_;
  const Clock& clock_;
  double began_s_;
  double last_s_;
};

}  // namespace stoa::trainer
