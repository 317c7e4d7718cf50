#include "stoa/trainer/verification/pairwise.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace stoa::trainer {
namespace {

constexpr int kOpen = -1;  ///< an axis whose value is not chosen yet

/// To the next combination; false behind the last.
bool advance(Combination& combination, const std::vector<int>& sizes) {
  for (std::size_t axis = sizes.size(); axis-- > 0;) {
    if (++combination[axis] < sizes[axis]) return true;
    combination[axis] = 0;
  }
  return false;
}

/// Pairs of values that have still to meet.
class MissingPairs {
 public:
  explicit MissingPairs(const std::vector<int>& sizes) {
    for (const int size : sizes) begins_.push_back(std::exchange(values_, values_ + std::size_t(size)));
    is_missing_.resize(values_ * values_, false);
  }

  void add(std::size_t a, int value_a, std::size_t b, int value_b) { set(place(a, value_a, b, value_b), true); }

  void add(const Combination& combination) {
    each(combination, [this](std::size_t place) { set(place, true); });
  }
  void remove(const Combination& combination) {
    each(combination, [this](std::size_t place) { set(place, false); });
  }
  std::size_t in(const Combination& combination) const {
    std::size_t count = 0;
    each(combination, [&](std::size_t place) { count += is_missing_[place]; });
    return count;
  }
  /// Those of one value with the values that are chosen.
  std::size_t with(const Combination& combination, std::size_t axis, int value) const {
    std::size_t count = 0;
    for (std::size_t other = 0; other < combination.size(); ++other)
      if (other != axis && combination[other] != kOpen)
        count += is_missing_[place(std::min(axis, other), other < axis ? combination[other] : value,
                                   std::max(axis, other), other < axis ? value : combination[other])];
    return count;
  }
  std::size_t size() const { return size_; }

 private:
  template <typename Body>
  void each(const Combination& combination, const Body& body) const {
    for (std::size_t a = 0; a < combination.size(); ++a)
      for (std::size_t b = a + 1; b < combination.size(); ++b)
        if (combination[a] != kOpen && combination[b] != kOpen) body(place(a, combination[a], b, combination[b]));
  }
  /// REQUIRES: a < b.
  std::size_t place(std::size_t a, int value_a, std::size_t b, int value_b) const {
    return (begins_[a] + std::size_t(value_a)) * values_ + begins_[b] + std::size_t(value_b);
  }
  void set(std::size_t place, bool is_missing) {
    if (is_missing_[place] == is_missing) return;
    is_missing_[place] = is_missing;
    size_ += is_missing ? 1 : std::size_t(-1);
  }

  std::vector<std::size_t> begins_;
  std::size_t values_ = 0, size_ = 0;
  std::vector<bool> is_missing_;
};

class Cover {
 public:
  Cover(const std::vector<Combination>& all, const std::vector<int>& free_sizes)
      : all_(all), sizes_(all.front().size(), 0) {
    for (const Combination& combination : all)
      for (std::size_t axis = 0; axis < combination.size(); ++axis)
        sizes_[axis] = std::max(sizes_[axis], combination[axis] + 1);
    first_free_ = sizes_.size();
    sizes_.insert(sizes_.end(), free_sizes.begin(), free_sizes.end());
    missing_.emplace(sizes_);
    for (const Combination& combination : all) {
      missing_->add(combination);
      for (std::size_t a = 0; a < combination.size(); ++a) add_free(a, combination[a]);
    }
    for (std::size_t a = first_free_; a < sizes_.size(); ++a)
      for (int value = 0; value < sizes_[a]; ++value) add_free(a, value);
  }

  std::vector<Combination> take() {
    std::vector<Combination> cover;
    while (missing_->size() > 0) {
      const Combination open = with_free_pair();
      Combination best;
      std::size_t most = 0;
      for (const Combination& combination : all_) {
        Combination candidate = filled(combination, open);
        if (const std::size_t count = missing_->in(candidate); count > most) {
          most = count;
          best = std::move(candidate);
        }
      }
      missing_->remove(best);
      cover.push_back(std::move(best));
    }
    return cover;
  }

 private:
  /// All pairs of one value with the values of later free axes.
  void add_free(std::size_t a, int value_a) {
    for (std::size_t b = std::max(a + 1, first_free_); b < sizes_.size(); ++b)
      for (int value = 0; value < sizes_[b]; ++value) missing_->add(a, value_a, b, value);
  }

  /// The first pair of free axes that is missing, so that each combination brings something new.
  Combination with_free_pair() const {
    Combination open(sizes_.size(), kOpen);
    for (std::size_t a = first_free_; a < sizes_.size(); ++a)
      for (std::size_t b = a + 1; b < sizes_.size(); ++b)
        for (int i = 0; i < sizes_[a]; ++i)
          for (int j = 0; j < sizes_[b]; ++j) {
            open[a] = i;
            open[b] = j;
            if (missing_->in(open) > 0) return open;
            open[a] = open[b] = kOpen;
          }
    return open;
  }

  Combination filled(const Combination& combination, Combination open) const {
    std::copy(combination.begin(), combination.end(), open.begin());
    for (std::size_t axis = first_free_; axis < sizes_.size(); ++axis) {
      if (open[axis] != kOpen) continue;
      int best = 0;
      for (int value = 1; value < sizes_[axis]; ++value)
        if (missing_->with(open, axis, value) > missing_->with(open, axis, best)) best = value;
      open[axis] = best;
    }
    return open;
  }

  const std::vector<Combination>& all_;
  std::vector<int> sizes_;
  std::size_t first_free_ = 0;
  std::optional<MissingPairs> missing_;
};

}  // namespace

std::vector<Combination> full_cross(const std::vector<int>& sizes, const Permitted& permitted) {
  std::vector<Combination> all;
  Combination combination(sizes.size(), 0);
  do {
    if (permitted(combination)) all.push_back(combination);
  } while (advance(combination, sizes));
  return all;
}

std::vector<Combination> pairwise_cover(const std::vector<Combination>& all, const std::vector<int>& free_sizes) {
  return all.empty() ? std::vector<Combination>() : Cover(all, free_sizes).take();
}

}  // namespace stoa::trainer
