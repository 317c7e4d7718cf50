#include "stoa/parallel/collective_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCallsTold = 5;

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

std::string CollectiveLedger::describe(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  const std::uint64_t told = std::min({most, kKept, std::size_t(count_)});
  const std::uint64_t first = count_ - told + 1;
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

std::optional<CollectiveLedger::Open> CollectiveLedger::open() const {
  const std::lock_guard lock(mutex_);
  const Entry& last = entries_[count_ % kKept];
  if (count_ == 0 || last.ended_s >= 0) return std::nullopt;
  return Open{fmt::format("{} {}", last.collective.data(), last.what.data()), now_s() - last.began_s};
}

std::optional<LedgerBook::Waiting> LedgerBook::waiting() const {
  const std::lock_guard lock(mutex_);
  std::optional<Waiting> found;
  for (const auto& [group, ledger] : ledgers_)
    if (const auto open = ledger->open(); open && (!found || open->since_s < found->since_s))
      found = Waiting{fmt::format("{} in the {}", open->call, group), open->since_s};
  return found;
}

std::uint64_t LedgerBook::calls() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t calls = 0;
  for (const auto& [group, ledger] : ledgers_) calls += ledger->count();
  return calls;
}

void LedgerBook::add(const std::string& group, std::shared_ptr<const CollectiveLedger> ledger) {
  const std::lock_guard lock(mutex_);
  ledgers_.emplace_back(group, std::move(ledger));
}

void LedgerBook::note(GroupLoss loss) {
  const std::lock_guard lock(mutex_);
  if (first_loss_ == GroupLoss::kNone) first_loss_ = loss;
}

GroupLoss LedgerBook::first_loss() const {
  const std::lock_guard lock(mutex_);
  return first_loss_;
}

std::string LedgerBook::describe() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [group, ledger] : ledgers_) {
    const std::uint64_t calls = ledger->count();
    if (calls == 0) continue;
    text += fmt::format("{}, {} {}\n", group, calls, calls == 1 ? "call" : "calls");
    std::istringstream lines(ledger->describe(kCallsTold));
    for (std::string line; std::getline(lines, line);) text += "  " + line + "\n";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace stoa::parallel
