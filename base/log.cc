#include "stoa/base/log.h"

namespace stoa {

void Log::write(LogLevel level, std::string_view text) {
  if (level < least_) return;
  std::string line = source_.empty() ? std::string() : source_ + ": ";
  if (level == LogLevel::kWarning) line += "warning: ";
  if (level == LogLevel::kError) line += "error: ";
  line += text;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stream_);
  std::fflush(stream_);
}

}  // namespace stoa
