/// Sums scattered over ranks and parts gathered from them: part of the conformance suite.
#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/parallel/communicator_conformance.h"
#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {
namespace {

using Parts = std::vector<std::size_t>;

// Uneven, with empty parts at both ends and in the middle, below and above what implementations stage in one round.
std::vector<Parts> kinds_of_parts(int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  std::vector<Parts> kinds = {Parts(n, 0), Parts(n, 1), Parts(n, 257)};
  for (const std::size_t scale : {1025, 2500007}) {
    Parts growing, holed;
    for (std::size_t rank = 0; rank < n; ++rank) {
      growing.push_back(rank * scale / (n * n));
      holed.push_back(rank % 2 == 0 ? 0 : scale / n + rank);
    }
    kinds.push_back(growing);
    std::reverse(holed.begin(), holed.end());
    kinds.push_back(holed);
  }
  return kinds;
}

std::size_t sum(const Parts& parts, std::size_t count) {
  return std::reduce(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count), std::size_t{0});
}

enum class Memory { kOrdinary, kCommunicators };
enum class Target { kOwnPart, kElsewhere };

// Floats of one of the two kinds of memory.
class Floats {
 public:
  Floats(Communicator& group, Memory memory, std::size_t size) : ordinary_(memory == Memory::kOrdinary ? size : 0) {
    if (memory == Memory::kCommunicators) shared_ = group.allocate(size * sizeof(float), "terms");
    values = shared_ ? std::span(reinterpret_cast<float*>(shared_->bytes().data()), size) : std::span(ordinary_);
  }
  std::span<float> values;

 private:
  std::vector<float> ordinary_;
  std::unique_ptr<CommunicatorMemory> shared_;
};

void expect_scattered_sums(Communicator& group, Values come, const Parts& parts) {
  const auto rank = static_cast<std::size_t>(group.rank());
  const std::size_t size = sum(parts, parts.size());
  const std::vector<float> brought = rank_values<float>(group.rank(), size);
  const auto begin = brought.begin() + std::ptrdiff_t(sum(parts, rank));
  const std::vector<float> expected = come == Values::kOwn
                                          ? std::vector<float>(begin, begin + std::ptrdiff_t(parts[rank]))
                                          : tree_sums<float>(group.size(), sum(parts, rank), parts[rank]);
  for (const Memory memory : {Memory::kOrdinary, Memory::kCommunicators})
    for (const Target target : {Target::kOwnPart, Target::kElsewhere}) {
      Floats terms(group, memory, size);
      std::ranges::copy(brought, terms.values.begin());
      std::vector<float> elsewhere(parts[rank]);
      const std::span<float> mine =
          target == Target::kOwnPart ? terms.values.subspan(sum(parts, rank), parts[rank]) : std::span(elsewhere);
      group.reduce_scatter(terms.values, parts, mine, "gradients");
      EXPECT_EQ(first_difference(mine, expected), mine.size()) << "of " << size << " on rank " << rank;
    }
}

TEST_P(CommunicatorConformance, ScatteredSumsFollowTheTreeBitForBit) {
  run([&](Communicator& group, Communicator&) {
    for (const Parts& parts : kinds_of_parts(group.size())) expect_scattered_sums(group, GetParam().values, parts);
  });
}

TEST_P(CommunicatorConformance, GatheredPartsStandInTheirPlacesOnAllRanks) {
  run([&](Communicator& group, Communicator&) {
    for (const Parts& parts : kinds_of_parts(group.size()))
      for (const Memory memory : {Memory::kOrdinary, Memory::kCommunicators}) {
        const std::size_t size = sum(parts, parts.size());
        std::vector<float> expected = rank_values<float>(7, size);
        Floats all(group, memory, size);
        const auto rank = static_cast<std::size_t>(group.rank());
        std::copy_n(expected.begin() + std::ptrdiff_t(sum(parts, rank)), parts[rank],
                    all.values.begin() + std::ptrdiff_t(sum(parts, rank)));
        Parts part_bytes = parts;
        for (std::size_t& part : part_bytes) part *= sizeof(float);
        group.all_gather_parts(std::as_writable_bytes(all.values), part_bytes, "parameters");
        if (GetParam().values == Values::kOwn) {
          std::fill_n(expected.begin(), sum(parts, rank), 0.0f);
          std::fill(expected.begin() + std::ptrdiff_t(sum(parts, rank + 1)), expected.end(), 0.0f);
        }
        EXPECT_EQ(first_difference(expected, all.values), size) << "on rank " << rank;
      }
  });
}

// The optimizer's step: a bucket inside a large buffer is scattered, changed and gathered, again and again.
TEST_P(ValuesConformance, BucketsOfOneMemoryAreScatteredAndGatheredAgainAndAgain) {
  run([&](Communicator& group, Communicator&) {
    const auto n = static_cast<std::size_t>(group.size());
    Parts parts(n, 4099);
    parts.back() = 33;
    const std::size_t size = sum(parts, n);
    Floats all(group, Memory::kCommunicators, 3 * size + 5);
    for (int round = 0; round < 21; ++round) {
      const auto bucket = all.values.subspan(static_cast<std::size_t>(round % 3) * size + 5, size);
      std::fill(bucket.begin(), bucket.end(), static_cast<float>(round + group.rank()));
      const auto mine = bucket.subspan(sum(parts, static_cast<std::size_t>(group.rank())),
                                       parts[static_cast<std::size_t>(group.rank())]);
      group.reduce_scatter(bucket, parts, mine, "gradients");
      for (float& value : mine) value += 1;
      Parts part_bytes = parts;
      for (std::size_t& part : part_bytes) part *= sizeof(float);
      group.all_gather_parts(std::as_writable_bytes(bucket), part_bytes, "parameters");
      const auto expected = static_cast<float>(group.size() * round + group.size() * (group.size() - 1) / 2 + 1);
      ASSERT_EQ(std::count(bucket.begin(), bucket.end(), expected), std::ssize(bucket)) << "round " << round;
      group.barrier("before it is filled again");
    }
  });
}

TEST_P(CommunicatorConformance, WrongPartsAreRefusedBeforeAnyRankWaits) {
  run([&](Communicator& group, Communicator&) {
    const auto n = static_cast<std::size_t>(group.size());
    std::vector<float> terms(33 * n), mine(33);
    EXPECT_THROW(group.reduce_scatter(terms, Parts(n, 32), mine, "too few"), InternalError);
    EXPECT_THROW(group.reduce_scatter(terms, Parts(n + 1, 33), mine, "too many parts"), InternalError);
    EXPECT_THROW(group.reduce_scatter(terms, Parts(n, 33), std::span(mine).first(32), "no room"), InternalError);
    EXPECT_THROW(group.all_gather_parts(std::as_writable_bytes(std::span(terms)), Parts(n, 33), "floats"),
                 InternalError);
    EXPECT_NO_THROW(group.barrier("the group is still whole"));
  });
}

}  // namespace
}  // namespace stoa::parallel
