#pragma once
/// A stream in memory, for what writes to a FILE*.
#include <cstdio>
#include <cstdlib>
#include <string>

namespace stoa::launcher {

class Captured {
 public:
  Captured() : stream_(::open_memstream(&text_, &size_)) {}
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() {
    std::fclose(stream_);
    std::free(text_);
  }
  std::FILE* stream() { return stream_; }
  /// All that was written so far.
  std::string text() {
    std::fflush(stream_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
};

}  // namespace stoa::launcher
