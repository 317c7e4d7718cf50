#include "stoa/tests/parallel/communicator_conformance.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {
namespace {

// Below and above what implementations treat as small, and above the chunks in which they stage.
constexpr std::size_t kSizes[] = {0, 1, 33, 65, 257, 1025, 100003, 600011};

template <typename T>
void expect_tree_sums(Communicator& group, Values come) {
  for (const std::size_t n : kSizes) {
    std::vector<T> values = rank_values<T>(group.rank(), n);
    group.all_reduce(std::span(values), ReduceOp::kSum, "sums");
    EXPECT_EQ(first_difference(values, expected_sums<T>(group, come, n)), n) << "rank " << group.rank();
  }
}

TEST_P(CommunicatorConformance, SumsOfFloatsFollowTheTreeBitForBit) {
  run([&](Communicator& group, Communicator&) { expect_tree_sums<float>(group, GetParam().values); });
}

TEST_P(CommunicatorConformance, SumsOfDoublesFollowTheTreeBitForBit) {
  run([&](Communicator& group, Communicator&) { expect_tree_sums<double>(group, GetParam().values); });
}

TEST_P(CommunicatorConformance, SumsOfIntegersAreExact) {
  run([&](Communicator& group, Communicator&) { expect_tree_sums<std::int64_t>(group, GetParam().values); });
}

TEST_P(ValuesConformance, MaximumAndMinimumAreOverAllRanks) {
  run([&](Communicator& group, Communicator&) {
    for (const std::size_t n : {0, 1, 33, 1025, 100003}) {
      std::vector<double> greatest = rank_values<double>(group.rank(), n);
      std::vector<double> least = greatest;
      group.all_reduce(std::span(greatest), ReduceOp::kMax, "greatest");
      group.all_reduce(std::span(least), ReduceOp::kMin, "least");
      for (std::size_t i = 0; i < n; ++i) {
        double expected_greatest = rank_value<double>(0, i);
        double expected_least = expected_greatest;
        for (int rank = 1; rank < group.size(); ++rank) {
          expected_greatest = std::max(expected_greatest, rank_value<double>(rank, i));
          expected_least = std::min(expected_least, rank_value<double>(rank, i));
        }
        ASSERT_EQ(greatest[i], expected_greatest) << i;
        ASSERT_EQ(least[i], expected_least) << i;
      }
    }
  });
}

TEST_P(ValuesConformance, OneRanksNotANumberReachesAllRanks) {
  run([&](Communicator& group, Communicator&) {
    for (int from = 0; from < group.size(); ++from)
      for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
        std::vector<float> values(33, static_cast<float>(group.rank()));
        if (group.rank() == from) values[17] = std::numeric_limits<float>::quiet_NaN();
        group.all_reduce(std::span(values), op, "not a number");
        EXPECT_TRUE(std::isnan(values[17])) << "from rank " << from;
        EXPECT_FALSE(std::isnan(values[16]));
      }
  });
}

TEST_P(CommunicatorConformance, GatherPutsThePartsInRankOrder) {
  run([&](Communicator& group, Communicator&) {
    for (const std::size_t n : {0, 1, 33, 4097, 3145739}) {
      const auto byte = [](int rank, std::size_t i) { return static_cast<std::byte>(7 * i + i / 251 + 31u * rank); };
      std::vector<std::byte> mine(n);
      for (std::size_t i = 0; i < n; ++i) mine[i] = byte(group.rank(), i);
      std::vector<std::byte> all(n * static_cast<std::size_t>(group.size()), std::byte{1});
      group.all_gather(mine, all, "parts");
      const auto comes = [&](int rank) { return rank == group.rank() || GetParam().values == Values::kOfAllRanks; };
      for (int rank = 0; rank < group.size(); ++rank)
        for (std::size_t i = 0; i < n; ++i)
          ASSERT_EQ(all[static_cast<std::size_t>(rank) * n + i], comes(rank) ? byte(rank, i) : std::byte{0})
              << "rank " << rank << " byte " << i;
    }
  });
}

TEST_P(CommunicatorConformance, BroadcastGivesEveryRankTheRootsBytes) {
  run([&](Communicator& group, Communicator&) {
    for (int root = 0; root < group.size(); ++root)
      for (const std::size_t n : {0, 1, 65, 257, 1025, 100003, root == 0 ? 600011 : 33}) {
        std::vector<double> values = rank_values<double>(group.rank(), n);
        group.broadcast(std::as_writable_bytes(std::span(values)), root, "root's");
        const bool comes = root == group.rank() || GetParam().values == Values::kOfAllRanks;
        EXPECT_EQ(first_difference(values, comes ? rank_values<double>(root, n) : std::vector<double>(n)), n)
            << "from root " << root;
      }
  });
}

TEST_P(CommunicatorConformance, RanksAgreeOnlyWhereAllSayYes) {
  run([&](Communicator& group, Communicator&) {
    EXPECT_TRUE(group.all_agree(true, "all say yes"));
    EXPECT_FALSE(group.all_agree(false, "all say no"));
    for (int against = 0; against < group.size(); ++against)
      EXPECT_EQ(group.all_agree(group.rank() != against, "one says no"),
                GetParam().values == Values::kOwn && group.rank() != against);
  });
}

TEST_P(CommunicatorConformance, CommunicatorsMemoryIsZeroedAlignedAndReducesToTheSameBits) {
  run([&](Communicator& group, Communicator&) {
    for (const std::size_t n : kSizes) {
      const auto memory = group.allocate(n * sizeof(float), "gradients");
      ASSERT_EQ(memory->bytes().size(), n * sizeof(float));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->bytes().data()) % 64, 0u);
      const std::span values(reinterpret_cast<float*>(memory->bytes().data()), n);
      EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float value) { return value == 0; }));
      std::ranges::copy(rank_values<float>(group.rank(), n), values.begin());
      group.all_reduce(values, ReduceOp::kSum, "gradients");
      EXPECT_EQ(first_difference(values, expected_sums<float>(group, GetParam().values, n)), n);
    }
  });
}

TEST_P(CommunicatorConformance, PartsOfTwoMemoriesReduceByThemselves) {
  run([&](Communicator& group, Communicator&) {
    constexpr std::size_t kCount = 100003;
    constexpr std::size_t kBegin = 33;
    constexpr std::size_t kLength = 65537;
    const auto first = group.allocate(kCount * sizeof(float), "first");
    const auto second = group.allocate(kCount * sizeof(float), "second");
    const std::vector<float> mine = rank_values<float>(group.rank(), kCount);
    std::vector<float> expected = mine;
    const std::vector<float> sums = expected_sums<float>(group, GetParam().values, kCount);
    std::copy_n(sums.begin() + kBegin, kLength, expected.begin() + kBegin);
    for (const auto& memory : {&first, &second}) {
      const std::span values(reinterpret_cast<float*>((*memory)->bytes().data()), kCount);
      std::ranges::copy(mine, values.begin());
      group.all_reduce(values.subspan(kBegin, kLength), ReduceOp::kSum, "part");
      group.barrier("before the look");
      EXPECT_EQ(first_difference(values, expected), kCount);
    }
  });
}

TEST_P(ValuesConformance, ManyMixedCallsStayInStep) {
  run([&](Communicator& group, Communicator&) {
    const int ranks = group.size();
    for (int round = 0; round < 300; ++round) {
      double small = round + group.rank();
      group.all_reduce(std::span(&small, 1), ReduceOp::kSum, "small");
      ASSERT_EQ(small, ranks * round + ranks * (ranks - 1) / 2);
      int shown = round % ranks == group.rank() ? round : -1;
      group.broadcast(std::as_writable_bytes(std::span(&shown, 1)), round % ranks, "shown");
      ASSERT_EQ(shown, round);
      if (round % 3 == 0) group.barrier("step");
      std::vector<std::int64_t> large(round % 7 == 0 ? 2053 : 5, round);
      group.all_reduce(std::span(large), ReduceOp::kMax, "large");
      ASSERT_EQ(std::accumulate(large.begin(), large.end(), std::int64_t{0}),
                round * static_cast<std::int64_t>(large.size()));
    }
  });
}

TEST_P(CommunicatorConformance, RanksAreNumberedWithinTheirNode) {
  run([this](Communicator& group, Communicator&) {
    EXPECT_EQ(group.size(), GetParam().ranks);
    EXPECT_LT(group.rank(), group.size());
    EXPECT_LT(group.local_rank(), group.local_size());
    EXPECT_LE(group.local_size(), group.size());
  });
}

TEST_P(CommunicatorConformance, LedgerTellsEachCall) {
  run([&](Communicator& group, Communicator&) {
    const std::uint64_t before = group.ledger().count();
    std::vector<float> values(257);
    group.all_reduce(std::span(values), ReduceOp::kSum, "gradients");
    group.all_agree(true, "saved");
    EXPECT_EQ(group.ledger().count(), before + 2);
    const std::string told = group.ledger().describe();
    EXPECT_NE(told.find(fmt::format("#{} all_reduce gradients 1.00 KiB: finished after", before + 1)),
              std::string::npos)
        << told;
    EXPECT_NE(told.find(fmt::format("#{} all_agree saved", before + 2)), std::string::npos) << told;
  });
}

TEST_P(CommunicatorConformance, WrongSizesAreRefusedBeforeAnyRankWaits) {
  run([&](Communicator& group, Communicator&) {
    std::vector<std::byte> mine(33);
    std::vector<std::byte> all(33 * static_cast<std::size_t>(group.size()) + 1);
    EXPECT_THROW(group.all_gather(mine, all, "parts"), InternalError);
    EXPECT_THROW(group.broadcast(mine, group.size(), "no such root"), InternalError);
    EXPECT_NO_THROW(group.barrier("the group is still whole"));
  });
}

// The absent rank comes to the side group only, so the test ends as soon as the others have seen their deadline pass.
TEST_P(OthersConformance, RankThatStaysAwayIsToldByCallWhenTheDeadlinePasses) {
  GetParam().run(kShort_s, [](Communicator& group, Communicator& side) {
    group.barrier("all here");
    if (group.rank() != 0) {
      try {
        std::vector<float> values(2053);
        group.all_reduce(std::span(values), ReduceOp::kSum, "gradients");
        ADD_FAILURE() << "rank 0 never came";
      } catch (const CommError& error) {
        const std::string message = error.what();
        EXPECT_NE(message.find(fmt::format("#{} all_reduce gradients on rank {} of the job (deadline",
                                           group.ledger().count(), group.rank())),
                  std::string::npos)
            << message;
        EXPECT_NE(message.find("rank 0 did not come before the deadline"), std::string::npos) << message;
        EXPECT_NE(group.ledger().describe().find("not finished"), std::string::npos);
      }
      EXPECT_THROW(group.barrier("after the failure"), CommError);
    }
    side.barrier("end");
  });
}

TEST_P(OthersConformance, RankThatFailsBreaksTheGroupForAll) {
  std::atomic<bool> failed_here = false;
  bool thrown_here = false;
  try {
    run([&](Communicator& group, Communicator&) {
      group.barrier("all here");
      if (group.rank() == group.size() - 1) {
        failed_here = true;
        throw DataError("no more tokens");
      }
      const auto began = std::chrono::steady_clock::now();
      EXPECT_THROW(group.barrier("never whole"), CommError);
      EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::duration<double>(kLong_s / 2));
    });
  } catch (const DataError& error) {
    thrown_here = true;
    EXPECT_STREQ(error.what(), "no more tokens");
  }
  EXPECT_EQ(thrown_here, failed_here);
}

TEST_P(CallsConformance, RanksThatDisagreeOnACallAreTold) {
  run([&](Communicator& group, Communicator&) {
    std::vector<double> values(group.rank() == 0 ? 33 : 65);
    EXPECT_THROW(group.all_reduce(std::span(values), ReduceOp::kSum, "sizes differ"), CommError);
  });
}

}  // namespace
}  // namespace stoa::parallel
