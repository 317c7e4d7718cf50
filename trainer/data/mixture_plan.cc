#include "stoa/trainer/data/mixture_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/trainer/data/token_samples.h"

namespace stoa::trainer {

std::vector<std::int64_t> apportion(std::int64_t seats, std::span<const double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> given(weights.size());
  std::vector<double> remainders(weights.size(), -1.0);
  std::int64_t left = seats;
  for (std::size_t s = 0; s < weights.size(); ++s) {
    if (weights[s] == 0) continue;
    const double quota = static_cast<double>(seats) * weights[s] / sum;
    given[s] = std::min(static_cast<std::int64_t>(std::floor(quota)), left);
    remainders[s] = quota - std::floor(quota);
    left -= given[s];
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t rank = 0; left > 0; ++rank, --left) ++given[order[rank]];
  return given;
}

/// The places of the blocks that come next, and how many such blocks can come.
struct MixturePlan::NextBlock {
  std::vector<std::int64_t> places;  ///< empty: nothing is left
  std::int64_t blocks = 0;
};

MixturePlan::NextBlock MixturePlan::next_block(std::int64_t most, std::span<const double> weights,
                                               std::span<const std::int64_t> left) {
  std::vector<double> active(weights.begin(), weights.end());
  for (std::size_t s = 0; s < active.size(); ++s)
    if (left[s] == 0) active[s] = 0;
  const auto nothing = [](std::span<const double> all) {
    return std::all_of(all.begin(), all.end(), [](double weight) { return weight == 0; });
  };
  if (nothing(active)) return {};

  // The largest block in which no source runs out, and the sources that would run out in a larger one.
  std::vector<bool> ending(active.size());
  std::vector<std::int64_t> places;
  std::int64_t block = most;
  for (;; block = std::max(kSmallestBlock, block / 2)) {
    places = apportion(block, active);
    bool fits = true;
    for (std::size_t s = 0; s < places.size(); ++s) {
      if (places[s] <= left[s]) continue;
      ending[s] = true;
      fits = false;
    }
    if (fits || block <= kSmallestBlock) break;
  }

  // A source that ends and has too many places here, or none, gets its last samples now.
  std::vector<std::int64_t> last(places.size());
  for (bool settled = false; !settled;) {
    settled = true;
    for (std::size_t s = 0; s < places.size(); ++s) {
      if (active[s] == 0 || !(places[s] > left[s] || (ending[s] && places[s] == 0))) continue;
      last[s] = std::min(left[s], block);
      block -= last[s];
      active[s] = 0;
      settled = false;
    }
    if (settled) break;
    places = nothing(active) || block == 0 ? std::vector<std::int64_t>(places.size()) : apportion(block, active);
  }
  NextBlock next{.places = std::move(places), .blocks = kEndless};
  for (std::size_t s = 0; s < next.places.size(); ++s) {
    next.places[s] += last[s];
    if (next.places[s] > 0) next.blocks = std::min(next.blocks, left[s] / next.places[s]);
  }
  return next;
}

MixturePlan::MixturePlan(std::span<const PlannedStage> stages, std::vector<std::int64_t> available, std::uint64_t seed)
    : seed_(seed) {
  std::vector<std::int64_t> drawn(available.size());
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    std::int64_t position = stages[stage].first_sample;
    const std::int64_t end = stage + 1 < stages.size() ? stages[stage + 1].first_sample : kEndless;
    while (position < end) {
      std::vector<std::int64_t> left = available;
      for (std::size_t s = 0; s < left.size(); ++s) left[s] -= drawn[s];
      const NextBlock next = next_block(std::min(kBlock, end - position), stages[stage].weights, left);
      if (next.places.empty()) {
        samples_ = position;
        return;
      }
      Segment segment{.begin = position, .block = 0, .places = next.places, .drawn_before = drawn};
      std::partial_sum(segment.places.begin(), segment.places.end(), segment.places.begin());
      segment.block = segment.places.back();
      const std::int64_t blocks = std::min(next.blocks, (end - position) / segment.block);
      for (std::size_t s = 0; s < drawn.size(); ++s) drawn[s] += blocks * next.places[s];
      position += blocks * segment.block;
      segments_.push_back(std::move(segment));
    }
  }
}

const MixturePlan::Segment& MixturePlan::segment_of(std::int64_t sample) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), sample,
                       [](std::int64_t number, const Segment& segment) { return number < segment.begin; });
  return *(after - 1);
}

Drawn MixturePlan::at(std::int64_t sample) const {
  if (sample < 0 || sample >= samples_) throw InternalError("sample {} of a mixture of {}", sample, samples_);
  const Segment& segment = segment_of(sample);
  const std::int64_t block = (sample - segment.begin) / segment.block;
  const std::int64_t block_begin = segment.begin + block * segment.block;
  const Permutation order(static_cast<std::uint64_t>(segment.block), seed_, static_cast<std::uint64_t>(block_begin),
                          RandomPurpose::kMixtureOrder);
  const auto place = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(sample - block_begin)));
  const auto end = std::upper_bound(segment.places.begin(), segment.places.end(), place);
  const auto source = static_cast<std::size_t>(end - segment.places.begin());
  const std::int64_t first = source == 0 ? 0 : segment.places[source - 1];
  return {source, segment.drawn_before[source] + block * (*end - first) + place - first};
}

std::vector<std::int64_t> MixturePlan::drawn_before(std::int64_t sample) const {
  if (segments_.empty()) return {};
  const std::int64_t end = std::min(sample, samples_);
  const Segment& segment = segment_of(std::max<std::int64_t>(0, end - 1));
  std::vector<std::int64_t> drawn = drawn_in(segment, std::max<std::int64_t>(0, end - segment.begin));
  for (std::size_t s = 0; s < drawn.size(); ++s) drawn[s] += segment.drawn_before[s];
  return drawn;
}

std::vector<std::int64_t> MixturePlan::drawn_in(const Segment& segment, std::int64_t samples) const {
  const std::int64_t blocks = samples / segment.block;
  std::vector<std::int64_t> drawn(segment.places.size());
  for (std::size_t s = 0; s < drawn.size(); ++s)
    drawn[s] = blocks * (segment.places[s] - (s == 0 ? 0 : segment.places[s - 1]));
  const std::int64_t block_begin = segment.begin + blocks * segment.block;
  const Permutation order(static_cast<std::uint64_t>(segment.block), seed_, static_cast<std::uint64_t>(block_begin),
                          RandomPurpose::kMixtureOrder);
  for (std::int64_t i = 0; i < samples - blocks * segment.block; ++i) {
    const auto place = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(i)));
    ++drawn[static_cast<std::size_t>(std::upper_bound(segment.places.begin(), segment.places.end(), place) -
                                     segment.places.begin())];
  }
  return drawn;
}

}  // namespace stoa::trainer
