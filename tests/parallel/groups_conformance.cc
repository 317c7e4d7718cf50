/// Groups split from a group, a thread that runs a group's collectives, groups of a mesh: part of the conformance
/// suite.
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/parallel/background.h"
#include "stoa/parallel/mesh_groups.h"
#include "stoa/tests/parallel/communicator_conformance.h"
#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {
namespace {

std::vector<int> members_of(const Communicator& group) { return {group.members().begin(), group.members().end()}; }

std::unique_ptr<Communicator> part_of(Communicator& job, std::string_view name) {
  return job.split(colour_for(name, job.rank(), job.size()), name);
}

// Every rank of the group meets those, in this order, and no others.
void expect_meets(Communicator& group, const std::vector<int>& members, int member, Values values) {
  EXPECT_EQ(members_of(group), members);
  ASSERT_EQ(group.size(), std::ssize(members));
  ASSERT_EQ(members[static_cast<std::size_t>(group.rank())], member);
  std::vector<int> met(members.size());
  group.all_gather(std::as_bytes(std::span(&member, 1)), std::as_writable_bytes(std::span(met)), "who is here");
  std::vector<int> come(members.size());
  if (values == Values::kOfAllRanks)
    come = members;
  else
    come[static_cast<std::size_t>(group.rank())] = member;
  EXPECT_EQ(met, come);
}

TEST_P(CommunicatorConformance, RanksOfAColourFormAGroupInTheirOrder) {
  run([&](Communicator& group, Communicator&) {
    std::vector<int> like_me;
    for (int rank = group.rank() % 2; rank < group.size(); rank += 2) like_me.push_back(rank);
    const auto part = part_of(group, kEveryOther);
    expect_meets(*part, like_me, group.rank(), GetParam().values);
    const std::string first = fmt::format("tensor group of rank{} {}", like_me.size() == 1 ? "" : "s", like_me[0]);
    EXPECT_EQ(part->name().find(first), 0u) << part->name();
    std::vector<float> values = rank_values<float>(part->rank(), 100003);
    part->all_reduce(std::span(values), ReduceOp::kSum, "sums");
    EXPECT_EQ(first_difference(values, expected_sums<float>(*part, GetParam().values, values.size())), values.size());
    group.barrier("the whole group still meets");
  });
}

TEST_P(CommunicatorConformance, GroupsOfGroupsNameTheRanksOfTheJob) {
  run([&](Communicator& group, Communicator&) {
    const int last = group.size() - 1;
    // All but rank 0 of the job, where there are others; of these, the last alone.
    const auto part = part_of(group, kMost);
    const auto inner = part->split(colour_for(kInner, group.rank(), group.size()), kInner);
    std::vector<int> expected;
    if (group.rank() == 0 || group.rank() == last)
      expected = {group.rank()};
    else
      for (int rank = 1; rank < last; ++rank) expected.push_back(rank);
    expect_meets(*inner, expected, group.rank(), GetParam().values);
    EXPECT_THROW(static_cast<void>(group.split(-1, "no colour")), InternalError);
  });
}

TEST_P(ValuesConformance, CallsOfASplitGroupWorkInItsOwnMemory) {
  run([&](Communicator& group, Communicator&) {
    const auto part = part_of(group, kPair);
    const auto memory = part->allocate(100003 * sizeof(float), "gradients");
    const std::span values(reinterpret_cast<float*>(memory->bytes().data()), 100003);
    std::ranges::copy(rank_values<float>(part->rank(), values.size()), values.begin());
    std::vector<std::size_t> parts(static_cast<std::size_t>(part->size()), 0);
    parts.back() = values.size();
    const bool takes = part->rank() == part->size() - 1;
    part->reduce_scatter(values, parts, takes ? values : values.first(0), "gradients");
    const std::vector<float> sums = tree_sums<float>(part->size(), values.size());
    EXPECT_TRUE(!takes || first_difference(values, sums) == values.size());
    parts.back() *= sizeof(float);
    part->all_gather_parts(std::as_writable_bytes(values), parts, "parameters");
    EXPECT_EQ(first_difference(values, sums), values.size());
  });
}

TEST_P(ValuesConformance, TwoGroupsOfTheSameRanksAreUsedByTwoThreadsAtOnce) {
  run([&](Communicator& group, Communicator&) {
    const auto other = part_of(group, kWhole);
    const auto sums = [](Communicator& used, int rounds) {
      for (int round = 0; round < rounds; ++round) {
        std::vector<double> values(1025, used.rank() + round);
        used.all_reduce(std::span(values), ReduceOp::kSum, "sums");
        const int ranks = used.size();
        ASSERT_EQ(values.back(), ranks * round + ranks * (ranks - 1) / 2);
      }
    };
    std::exception_ptr failure;
    {
      const std::jthread thread([&] {
        try {
          sums(*other, 200);
        } catch (...) {
          failure = std::current_exception();
        }
      });
      sums(group, 100);
    }
    if (failure) std::rethrow_exception(failure);
  });
}

TEST_P(PartsConformance, ARankMissingInASplitGroupIsToldByTheNamesOfTheJob) {
  GetParam().run(kShort_s, [](Communicator& group, Communicator& side) {
    const auto part = part_of(group, kMost);
    const int last = group.size() - 1;
    if (group.rank() != 0 && group.rank() != last) try {
        part->barrier("rows");
        ADD_FAILURE() << "the last rank never came";
      } catch (const CommError& error) {
        const std::string told = error.what();
        EXPECT_NE(told.find(fmt::format("barrier rows on rank {} of the model group of ranks 1, ", group.rank())),
                  std::string::npos)
            << told;
        EXPECT_NE(told.find(fmt::format("rank {} did not come before the deadline", last)), std::string::npos) << told;
      }
    side.barrier("end");
  });
}

// The rank that fails meets the first rank in no call any more; both are in the whole group only.
TEST_P(PartsConformance, AFailureInASplitGroupReachesAllRanks) {
  try {
    run([&](Communicator& group, Communicator&) {
      const auto part = part_of(group, kMost);
      if (group.rank() == group.size() - 1) throw DataError("no more tokens");
      if (group.rank() != 0) {
        EXPECT_THROW(part->barrier("rows"), CommError);
      }
      EXPECT_THROW(group.barrier("step"), CommError);
    });
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "no more tokens");
  }
}

TEST_P(CommunicatorConformance, BackgroundRunsWorkInOrderWhileTheRankUsesOtherGroups) {
  run([&](Communicator& group, Communicator&) {
    Background background(part_of(group, kWhole));
    constexpr int kPieces = 33;
    std::vector<std::vector<float>> pieces;
    std::vector<int> order;
    for (int i = 0; i < kPieces; ++i) pieces.push_back(rank_values<float>(group.rank(), 4097));
    Background::Ticket last = 0;
    for (int i = 0; i < kPieces; ++i)
      last = background.start([&, i](Communicator& data) {
        order.push_back(i);
        data.all_reduce(std::span(pieces[static_cast<std::size_t>(i)]), ReduceOp::kSum, "bucket");
      });
    for (int i = 0; i < kPieces; ++i) group.barrier("meanwhile");
    background.wait(last);
    ASSERT_EQ(order.size(), std::size_t{kPieces});
    for (int i = 0; i < kPieces; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
    const std::vector<float> sums = expected_sums<float>(group, GetParam().values, 4097);
    for (const auto& piece : pieces) EXPECT_EQ(first_difference(piece, sums), sums.size());
    EXPECT_GE(background.waited_s(), 0);
  });
}

TEST_P(CommunicatorConformance, BackgroundThrowsWhereItsWorkIsWaitedFor) {
  run([](Communicator& group, Communicator& side) {
    Background background(part_of(group, kWhole));
    const auto fails = [](Communicator&) { throw DataError("no such bucket"); };
    if (group.size() == 1) {
      EXPECT_THROW(background.start(fails), DataError) << "a group of one works inline";
      return;
    }
    const Background::Ticket first = background.start([](Communicator& data) { data.barrier("fine"); });
    const Background::Ticket second = background.start(fails);
    std::atomic<bool> ran = false;
    const Background::Ticket third = background.start([&](Communicator&) { ran = true; });
    EXPECT_THROW(background.wait(second), DataError);
    EXPECT_THROW(background.wait(third), DataError);
    EXPECT_THROW(background.wait(first), DataError) << "the group is not in order any more";
    EXPECT_FALSE(ran) << "work after a failure is not run";
    side.barrier("end");
  });
}

TEST_P(OthersConformance, AFailureEndsWhatRunsInTheBackgroundOfAllRanks) {
  try {
    run([&](Communicator& group, Communicator&) {
      Background background(part_of(group, kWhole));
      if (group.rank() == 0) {
        // Its own thread waits for the others, who never come.
        background.start([](Communicator& data) { data.barrier("bucket 1"); });
        throw DataError("no more tokens");
      }
      EXPECT_THROW(group.barrier("step"), CommError);
      EXPECT_THROW(background.run([](Communicator& data) {
        data.barrier("bucket 1");
        data.barrier("bucket 2");
      }),
                   CommError);
    });
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "no more tokens");
  }
}

std::vector<MeshSize> meshes_of(int ranks) {
  std::vector<MeshSize> meshes;
  for (int data = 1; data <= ranks; ++data)
    for (int pipeline = 1; data * pipeline <= ranks; ++pipeline)
      if (ranks % (data * pipeline) == 0)
        meshes.push_back({.data = data, .pipeline = pipeline, .tensor = ranks / (data * pipeline)});
  return meshes;
}

// The ranks whose coordinates are those of `at` but for the axes that vary.
template <typename Same>
std::vector<int> ranks_where(const MeshSize& size, Same&& same) {
  std::vector<int> ranks;
  for (int rank = 0; rank < size.ranks(); ++rank)
    if (same(mesh_coordinate(size, rank))) ranks.push_back(rank);
  return ranks;
}

}  // namespace

int colour_for(std::string_view group, int rank, int ranks) {
  if (group == kEveryOther) return rank % 2;
  if (group == kPair) return rank / 2;
  if (group == kMost) return rank == 0 ? 0 : 1;
  if (group == kInner) return rank == ranks - 1 ? 5 : 3;
  return 0;
}

void expect_mesh(Communicator& job, const MeshSize& size) {
  const MeshGroups groups = make_mesh_groups(job, size);
  const MeshCoordinate at = groups.at;
  const auto meets = [&](Communicator& group, auto&& same) {
    expect_meets(group, ranks_where(size, same), job.rank(), Values::kOfAllRanks);
  };
  meets(*groups.data, [&](auto of) { return of.pipeline == at.pipeline && of.tensor == at.tensor; });
  const auto same_pipeline = [&](auto of) { return of.data == at.data && of.tensor == at.tensor; };
  meets(*groups.pipeline, same_pipeline);
  meets(*groups.pipeline_back, same_pipeline);
  meets(*groups.tensor, [&](auto of) { return of.data == at.data && of.pipeline == at.pipeline; });
  meets(*groups.model, [&](auto of) { return of.data == at.data; });
  EXPECT_EQ(groups.pipeline->rank(), at.pipeline);
  EXPECT_EQ(groups.tensor->rank(), at.tensor);
  EXPECT_EQ(groups.data->rank(), at.data);
  const bool has_ends = size.pipeline > 1 && (groups.first_stage() || groups.last_stage());
  ASSERT_EQ(groups.ends != nullptr, has_ends);
  if (has_ends)
    meets(*groups.ends,
          [&](auto of) { return same_pipeline(of) && (of.pipeline == 0 || of.pipeline == size.pipeline - 1); });
}

namespace {

TEST_P(ValuesConformance, GroupsOfAMeshMeetTheRanksOfTheirAxes) {
  run([&](Communicator& group, Communicator&) {
    for (const MeshSize& size : meshes_of(group.size())) expect_mesh(group, size);
    EXPECT_THROW(make_mesh_groups(group, {.data = group.size() + 1, .pipeline = 1, .tensor = 1}), InternalError);
  });
}

}  // namespace
}  // namespace stoa::parallel
