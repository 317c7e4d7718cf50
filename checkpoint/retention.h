#pragma once
/// Which checkpoints of a run stay.
#include <cstdint>
#include <optional>
#include <set>
#include <span>

namespace stoa::checkpoint {

struct RetentionRules {
  /// Not explicit: most callers have this rule alone.
  RetentionRules(std::int64_t last = 1, std::int64_t every = 0, std::int64_t best = 0)
      : keep_last(last), keep_every_steps(every), keep_best(best) {}
  std::int64_t keep_last;         ///< the newest ones; less than one counts as one
  std::int64_t keep_every_steps;  ///< those whose step is a multiple; 0: none for that
  std::int64_t keep_best;         ///< those of the lowest evaluation loss, of equal ones the newer; 0: none for that
};

struct RetentionCandidate {
  std::int64_t step = 0;
  std::optional<double> evaluation_loss;  ///< of the very weights that it holds
  bool is_whole = true;
};

/// The steps that no rule keeps, of candidates in ascending order of their steps. The newest whole one stays whatever
/// the rules say.
std::set<std::int64_t> steps_to_remove(std::span<const RetentionCandidate> candidates, const RetentionRules& rules);

/// The most checkpoints that the rules keep at once of a run that saves each `save_every` steps until `steps`.
std::int64_t most_kept(const RetentionRules& rules, std::int64_t save_every, std::int64_t steps);

}  // namespace stoa::checkpoint
