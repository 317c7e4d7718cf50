#include "stoa/launcher/rank_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "stoa/base/units.h"

namespace stoa::launcher {
namespace {

constexpr std::size_t kStepsKept = 64;
constexpr std::size_t kRanksTold = 64;

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

RankWatch::RankWatch(std::int64_t ranks, const WatchRules& rules, double now_s)
    : ranks_(std::size_t(ranks)), rules_(rules), changed_s_(now_s) {}

void RankWatch::greet(const RankGreeting& greeting, double now_s) {
  if (!has(greeting.rank)) return;
  Rank& rank = ranks_[std::size_t(greeting.rank)];
  if (rank.heard_s < 0) ++greeted_;
  rank.host = greeting.host;
  rank.build = greeting.build;
  rank.heard_s = rank.changed_s = changed_s_ = now_s;
}

void RankWatch::hear(std::int64_t number, const Heartbeat& beat, double now_s) {
  if (!has(number)) return;
  Rank& rank = ranks_[std::size_t(number)];
  rank.heard_s = now_s;
  if (beat.changes != rank.last.changes) rank.changed_s = changed_s_ = now_s;
  if (beat.step > step_) {
    if (step_ > 0 && beat.step_s > 0) step_times_.push_back(beat.step_s);
    if (step_times_.size() > kStepsKept) step_times_.pop_front();
    step_ = beat.step;
  }
  if (beat.phase == trainer::LoopPhase::kTraining) {
    if (++rank.beats > kWindow) {
      rank.beats /= 2;
      rank.waits /= 2;
    }
    rank.waits += beat.waiting.empty() ? 0 : 1;
  }
  rank.last = beat;
}

std::string RankWatch::host_of(std::int64_t rank) const {
  return has(rank) && !ranks_[std::size_t(rank)].host.empty() ? ranks_[std::size_t(rank)].host : "?";
}

std::optional<double> RankWatch::median_step_s() const {
  if (step_times_.size() < 2) return std::nullopt;
  return median({step_times_.begin(), step_times_.end()});
}

std::optional<RankWatch::Hang> RankWatch::hang(double now_s) const {
  const bool in_steps = std::all_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) {
    return rank.heard_s >= 0 && rank.last.phase == trainer::LoopPhase::kTraining;
  });
  const auto step_s = median_step_s();
  double allowed_s = rules_.patience_s;
  if (in_steps && step_s) {
    constexpr double kReport_s = 3;
    allowed_s = rules_.steps * *step_s + rules_.slack_s;
    if (rules_.deadline_s < allowed_s + kReport_s) allowed_s = rules_.deadline_s + kReport_s;
  }
  const double still_s = now_s - changed_s_;
  if (still_s <= allowed_s) return std::nullopt;

  Hang found{.still_s = still_s, .culprits = {}, .text = {}};
  std::vector<std::int64_t> silent;
  std::vector<std::int64_t> busy;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    const bool is_silent = now_s - rank.heard_s > rules_.silence_s;
    if (is_silent) silent.push_back(std::int64_t(i));
    if (!is_silent && rank.last.waiting.empty()) busy.push_back(std::int64_t(i));
    if (i >= kRanksTold) continue;
    const std::string state = rank.heard_s < 0 ? "never came"
                              : is_silent      ? fmt::format("silent for {}", format_duration(now_s - rank.heard_s))
                              : rank.last.waiting.empty() ? "in no collective"
                                                          : fmt::format("waits for {} for {}", rank.last.waiting,
                                                                        format_duration(rank.last.waiting_s));
    found.text += fmt::format("rank {} on {}: {}, step {}, {}\n", i, host_of(std::int64_t(i)),
                              trainer::phase_name(rank.last.phase), rank.last.step, state);
  }
  if (ranks_.size() > kRanksTold) found.text += fmt::format("and {} more\n", ranks_.size() - kRanksTold);
  const bool any_silent = !silent.empty();
  if (any_silent)
    found.culprits = silent;
  else if (busy.size() < ranks_.size())
    found.culprits = busy;
  if (found.culprits.empty()) {
    found.summary = fmt::format("all {} ranks stand still for {}", ranks_.size(), format_duration(still_s));
  } else {
    const std::int64_t first = found.culprits.front();
    found.summary =
        fmt::format("rank {} on {}{} {} while {} others wait", first, host_of(first),
                    found.culprits.size() > 1 ? fmt::format(" and {} more", found.culprits.size() - 1) : "",
                    any_silent ? "is silent" : "is in no collective", ranks_.size() - found.culprits.size());
  }
  return found;
}

std::optional<std::string> RankWatch::build_defect() const {
  const Rank* first = nullptr;
  for (const Rank& rank : ranks_) {
    if (rank.build.empty()) continue;
    if (first == nullptr) first = &rank;
    if (rank.build != first->build)
      return fmt::format("rank {} on {} runs another build of stoa-train or its libraries than rank {} on {}",
                         &rank - ranks_.data(), rank.host, first - ranks_.data(), first->host);
  }
  return std::nullopt;
}

std::optional<RankWatch::Straggler> RankWatch::straggler() const {
  std::vector<double> waits;
  std::map<std::string, std::pair<double, int>> of_host;
  for (const Rank& rank : ranks_) {
    if (rank.beats < kWindow / 2) return std::nullopt;
    const double fraction = double(rank.waits) / rank.beats;
    waits.push_back(fraction);
    of_host[rank.host].first += fraction;
    ++of_host[rank.host].second;
  }
  if (of_host.size() < 2) return std::nullopt;
  const double usual = median(waits);
  std::optional<Straggler> slowest;
  for (const auto& [host, sum] : of_host) {
    const double mean = sum.first / sum.second;
    if (mean < usual / 2 && usual - mean >= 0.1 && (!slowest || mean < slowest->waits))
      slowest = Straggler{host, mean, usual};
  }
  return slowest;
}

}  // namespace stoa::launcher
