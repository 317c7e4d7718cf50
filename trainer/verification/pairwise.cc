#include "stoa/trainer/verification/pairwise.h"

#include <set>
#include <tuple>

namespace stoa::trainer {
namespace {

/// (axis, value, later axis, value)
using Pair = std::tuple<std::size_t, int, std::size_t, int>;

std::vector<Pair> pairs_of(const Combination& combination) {
  std::vector<Pair> pairs;
  for (std::size_t a = 0; a < combination.size(); ++a)
    for (std::size_t b = a + 1; b < combination.size(); ++b) pairs.emplace_back(a, combination[a], b, combination[b]);
  return pairs;
}

std::size_t new_pairs(const Combination& combination, const std::set<Pair>& missing) {
  std::size_t count = 0;
  for (const Pair& pair : pairs_of(combination)) count += missing.count(pair);
  return count;
}

/// To the next combination; false behind the last.
bool advance(Combination& combination, const std::vector<int>& sizes) {
  for (std::size_t axis = sizes.size(); axis-- > 0;) {
    if (++combination[axis] < sizes[axis]) return true;
    combination[axis] = 0;
  }
  return false;
}

}  // namespace

std::vector<Combination> full_cross(const std::vector<int>& sizes, const Permitted& permitted) {
  std::vector<Combination> all;
  Combination combination(sizes.size(), 0);
  do {
    if (permitted(combination)) all.push_back(combination);
  } while (advance(combination, sizes));
  return all;
}

std::vector<Combination> pairwise_cover(const std::vector<Combination>& all) {
  std::set<Pair> missing;
  for (const Combination& combination : all)
    for (const Pair& pair : pairs_of(combination)) missing.insert(pair);
  std::vector<Combination> cover;
  const Combination* next = all.empty() ? nullptr : &all.front();
  while (next != nullptr) {
    cover.push_back(*next);
    for (const Pair& pair : pairs_of(*next)) missing.erase(pair);
    next = nullptr;
    std::size_t most = 0;
    for (const Combination& combination : all)
      if (const std::size_t count = new_pairs(combination, missing); count > most) {
        most = count;
        next = &combination;
      }
  }
  return cover;
}

}  // namespace stoa::trainer
