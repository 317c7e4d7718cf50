#include "stoa/trainer/loop/metrics.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "stoa/trainer/loop/recorded_loss.h"

namespace stoa::trainer {

Metrics::Metrics(const std::filesystem::path& file, std::FILE* stream, std::string attempt, const Clock& clock)
    : path_(file), file_(file), stream_(stream), attempt_(std::move(attempt)), clock_(&clock) {}

std::optional<double> Metrics::recorded_loss(std::int64_t step) const {
  return file_ ? trainer::recorded_loss(path_, step) : std::nullopt;
}

void Metrics::write(Json line) {
  if (!file_) return;
  line["attempt"] = attempt_;
  line["time"] = clock_->unix_s();
  const std::string text = line.dump();
  file_->append(text);
  std::fprintf(stream_, "%s\n", text.c_str());
  std::fflush(stream_);
}

std::int64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  long pages[2] = {0, 0};
  const int got = std::fscanf(file, "%ld %ld", &pages[0], &pages[1]);
  std::fclose(file);
  return got == 2 ? std::int64_t{pages[1]} * sysconf(_SC_PAGESIZE) : 0;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

}  // namespace stoa::trainer
