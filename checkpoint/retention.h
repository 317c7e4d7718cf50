#pragma once
/// Which checkpoints of a run stay.
#include <cstdint>
#include <optional>
#include <set>
#include <span>

namespace stoa::checkpoint {

struct RetentionRules {
  std::int64_t keep_last = 1;         ///< the newest ones; less than one counts as one
  std::int64_t keep_every_steps = 0;  ///< those whose step is a multiple; 0: none for that
  std::int64_t keep_best = 0;  ///< those of the lowest evaluation loss, of equal ones the newer; 0: none for that
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
