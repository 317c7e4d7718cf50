#include "stoa/checkpoint/retention.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace stoa::checkpoint {
namespace {

std::vector<RetentionCandidate> best_first(std::span<const RetentionCandidate> candidates) {
  std::vector<RetentionCandidate> judged;
  for (const RetentionCandidate& candidate : candidates)
    if (candidate.evaluation_loss) judged.push_back(candidate);
  std::ranges::sort(judged, [](const RetentionCandidate& a, const RetentionCandidate& b) {
    return std::pair(*a.evaluation_loss, -a.step) < std::pair(*b.evaluation_loss, -b.step);
  });
  return judged;
}

}  // namespace

std::set<std::int64_t> steps_to_remove(std::span<const RetentionCandidate> candidates, const RetentionRules& rules) {
  std::set<std::int64_t> doomed;
  for (const RetentionCandidate& candidate : candidates) doomed.insert(candidate.step);
  const auto last = static_cast<std::size_t>(std::max<std::int64_t>(rules.keep_last, 1));
  for (const RetentionCandidate& candidate : candidates.last(std::min(last, candidates.size())))
    doomed.erase(candidate.step);
  if (rules.keep_every_steps > 0) std::erase_if(doomed, [&](auto step) { return step % rules.keep_every_steps == 0; });
  const std::vector<RetentionCandidate> best = best_first(candidates);
  for (std::size_t i = 0; i < best.size() && static_cast<std::int64_t>(i) < rules.keep_best; ++i)
    doomed.erase(best[i].step);
  const auto whole =
      std::find_if(candidates.rbegin(), candidates.rend(), [](const auto& each) { return each.is_whole; });
  if (whole != candidates.rend()) doomed.erase(whole->step);
  return doomed;
}

std::int64_t most_kept(const RetentionRules& rules, std::int64_t save_every, std::int64_t steps) {
  // Without a rhythm there is one save, after the last step.
  const std::int64_t saves = save_every > 0 ? (steps + save_every - 1) / save_every : 1;
  std::int64_t kept = std::max<std::int64_t>(rules.keep_last, 1) + rules.keep_best;
  if (rules.keep_every_steps > 0 && save_every > 0) kept += steps / std::lcm(save_every, rules.keep_every_steps);
  return std::min(saves, kept);
}

}  // namespace stoa::checkpoint
