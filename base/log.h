#pragma once
/// Lines for people, on a stream that the composition root chose. No global logger: whoever logs takes a Log&.
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace stoa {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Each call writes one whole line with one write, so that the lines of several processes on one terminal do not mix.
/// Any thread. Borrows the stream.
class Log {
 public:
  /// `source` stands at the start of each line ("stoa", "rank 3"); empty leaves it out.
  Log(std::FILE* stream, std::string source, LogLevel least = LogLevel::kInfo)
      : stream_(stream), source_(std::move(source)), least_(least) {}

  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
  }

  void write(LogLevel level, std::string_view text);

 private:
  std::FILE* stream_;
  std::string source_;
  LogLevel least_;
};

}  // namespace stoa
