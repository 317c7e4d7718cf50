#pragma once
/// Which source each sample of a mixture comes from, as arithmetic: no table of samples, no index file, no state.
///
/// A stage's samples are cut into blocks of kBlock, the last one as long as what is left of the stage. In a block each
/// source has a fixed number of places, by the largest remainders of its weight (Hamilton's apportionment, the method
/// of the US Congress of 1792): with q_s = kBlock w_s / sum(w) every source gets floor(q_s), and the places that are
/// left go one each to the largest q_s - floor(q_s), the earlier source first where they are equal. Inside the block a
/// keyed permutation (Feistel, see Permutation; its number is the block's first sample) mixes the places. So every
/// block has the exact proportions, and
///   source(i), own number(i) = f(weights, seed, i)
/// takes a binary search among the segments (ranges of blocks with the same places) and one permuted number.
///
/// A source with a limit is drawn to its last sample. Where it would run out inside a block, the block is half as long,
/// down to kSmallestBlock, so that the proportions hold to the end; in the last one it has what is left to it and the
/// others share the rest. Then it has left, and the others' shares grow. These numbers are on disk in effect: a resumed
/// run must draw the same samples. Never change them.
#include <cstdint>
#include <span>
#include <vector>

namespace stoa::trainer {

/// Seats by largest remainder. REQUIRES: weights >= 0, not all 0.
std::vector<std::int64_t> apportion(std::int64_t seats, std::span<const double> weights);

struct PlannedStage {
  std::int64_t first_sample = 0;
  std::vector<double> weights;  ///< by source
};

/// Sample number `sample` of a source's own endless stream.
struct Drawn {
  std::size_t source = 0;
  std::int64_t sample = 0;
};

class MixturePlan {
 public:
  static constexpr std::int64_t kBlock = 65536;
  static constexpr std::int64_t kSmallestBlock = 64;
  /// Of a source without limit, and of a mixture that has one.
  static constexpr std::int64_t kEndless = std::int64_t{1} << 62;

  /// `available`: samples that may be drawn of each source at most. REQUIRES: the first stage begins at 0, the others
  /// ascend; all have as many weights as there are sources.
  MixturePlan(std::span<const PlannedStage> stages, std::vector<std::int64_t> available, std::uint64_t seed);

  /// After these every source with a weight is used up.
  std::int64_t samples() const { return samples_; }
  /// REQUIRES: 0 <= sample < samples().
  Drawn at(std::int64_t sample) const;
  /// How many of each source stand before a sample (at most samples()).
  std::vector<std::int64_t> drawn_before(std::int64_t sample) const;

  struct Segment {
    std::int64_t begin = 0;  ///< its first sample
    std::int64_t block = kBlock;
    std::vector<std::int64_t> places;        ///< of each source in a block: ends of its range, ascending
    std::vector<std::int64_t> drawn_before;  ///< of each source before `begin`
  };
  const std::vector<Segment>& segments() const { return segments_; }

 private:
  struct NextBlock;
  /// Of at most `most` samples; left: what may still be drawn of each source.
  static NextBlock next_block(std::int64_t most, std::span<const double> weights, std::span<const std::int64_t> left);
  const Segment& segment_of(std::int64_t sample) const;
  std::vector<std::int64_t> drawn_in(const Segment& segment, std::int64_t samples) const;

  std::uint64_t seed_;
  std::int64_t samples_ = kEndless;
  std::vector<Segment> segments_;
};

}  // namespace stoa::trainer
