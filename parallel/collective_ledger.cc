#include "stoa/parallel/collective_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <std::size_t N>
void keep_text(std::array<char, N>& to, std::string_view from) {
  const std::size_t kept = std::min(from.size(), N - 1);
  std::copy_n(from.begin(), kept, to.begin());
  to[kept] = '\0';
}

}  // namespace

std::uint64_t CollectiveLedger::begin(std::string_view collective, std::string_view what, std::size_t size_bytes) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[++count_ % kKept];
  entry.number = count_;
  keep_text(entry.collective, collective);
  keep_text(entry.what, what);
  entry.size_bytes = size_bytes;
  entry.began_s = now_s();
  entry.ended_s = -1;
  return count_;
}

void CollectiveLedger::end(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[number % kKept];
  if (entry.number == number) entry.ended_s = now_s();
}

std::string CollectiveLedger::describe() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  const std::uint64_t first = count_ > kKept ? count_ - kKept + 1 : 1;
  for (std::uint64_t number = first; number <= count_; ++number) {
    const Entry& entry = entries_[number % kKept];
    const bool finished = entry.ended_s >= 0;
    const double seconds = (finished ? entry.ended_s : now_s()) - entry.began_s;
    text += fmt::format("#{} {} {} {}: {} {}\n", entry.number, entry.collective.data(), entry.what.data(),
                        format_bytes(static_cast<double>(entry.size_bytes)),
                        finished ? "finished after" : "not finished since", format_duration(seconds));
  }
  return text;
}

std::uint64_t CollectiveLedger::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace stoa::parallel
