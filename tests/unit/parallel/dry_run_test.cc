#include "stoa/parallel/dry_run.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/parallel/mesh_groups.h"

namespace stoa::parallel {
namespace {

constexpr MeshSize kMesh{.data = 64, .pipeline = 3, .tensor = 4};

TEST(DryRun, FormsTheGroupsOfAnyRankOfALargeMesh) {
  TrafficLog log;
  const int rank = mesh_rank(kMesh, {.data = 33, .pipeline = 2, .tensor = 1});
  DryRun job(rank, kMesh.ranks(), log, [](int of, std::string_view name) { return mesh_colour(kMesh, of, name); });
  const MeshGroups groups = make_mesh_groups(job, kMesh);
  EXPECT_EQ(groups.data->size(), 64);
  EXPECT_EQ(groups.data->rank(), 33);
  EXPECT_EQ(groups.pipeline->rank(), 2);
  EXPECT_EQ(groups.tensor->rank(), 1);
  EXPECT_EQ(groups.model->size(), 12);
  ASSERT_TRUE(groups.ends);
  EXPECT_EQ(groups.ends->size(), 2);
  for (const auto* group : {&groups.data, &groups.pipeline, &groups.tensor, &groups.model, &groups.ends})
    EXPECT_EQ((*group)->members()[static_cast<std::size_t>((*group)->rank())], rank);
}

TEST(DryRun, CountsWhatARankSendsByGroupCallAndPurpose) {
  TrafficLog log;
  DryRun job(1, 4, log, [](int rank, std::string_view) { return rank / 2; });
  const auto pair = job.split(0, "pair");
  std::vector<float> values(100);
  const std::vector<std::size_t> parts = {50, 30, 20, 0};
  job.reduce_scatter(values, parts, std::span(values).first(30), "gradients");
  job.reduce_scatter(values, parts, std::span(values).first(30), "gradients");
  const std::vector<std::size_t> part_bytes = {200, 120, 80, 0};
  job.all_gather_parts(std::as_writable_bytes(std::span(values)), part_bytes, "parameters");
  job.all_reduce(std::span(values), ReduceOp::kSum, "norm");
  pair->send(std::as_bytes(std::span(values)), 1 - pair->rank(), "activations");
  pair->receive(std::as_writable_bytes(std::span(values)), 1 - pair->rank(), "activations");
  const auto entries = log.entries();
  const auto sent = [&](const std::string& group, const std::string& collective, const std::string& what) {
    return entries.at({group, collective, what});
  };
  using Traffic = TrafficLog::Traffic;
  EXPECT_EQ(sent("job", "reduce_scatter", "gradients"), (Traffic{.calls = 2, .messages = 6, .bytes = 2 * 70 * 4}));
  EXPECT_EQ(sent("job", "all_gather", "parameters"), (Traffic{.calls = 1, .messages = 3, .bytes = 3 * 120}));
  EXPECT_EQ(sent("job", "all_reduce", "norm"), (Traffic{.calls = 1, .messages = 6, .bytes = 600}));
  EXPECT_EQ(sent("pair of ranks 0, 1", "send", "activations"), (Traffic{.calls = 1, .messages = 1, .bytes = 400}));
  EXPECT_EQ(sent("pair of ranks 0, 1", "receive", "activations"), (Traffic{.calls = 1, .messages = 0, .bytes = 0}));
}

TEST(DryRun, ReturnsOwnValuesAndZerosInPlaceOfOthers) {
  TrafficLog log;
  DryRun job(1, 3, log, [](int, std::string_view) { return 0; });
  double value = 65;
  job.all_reduce(std::span(&value, 1), ReduceOp::kSum, "loss");
  EXPECT_EQ(value, 65);
  const std::vector<std::byte> mine(2, std::byte{33});
  std::vector<std::byte> all(6, std::byte{1});
  job.all_gather(mine, all, "names");
  const std::vector<std::byte> expected = {{}, {}, std::byte{33}, std::byte{33}, {}, {}};
  EXPECT_EQ(all, expected);
}

TEST(DryRun, ASplitThatItWasNotToldOfIsRefused) {
  TrafficLog log;
  DryRun job(1, 4, log, [](int rank, std::string_view) { return rank / 2; });
  EXPECT_THROW(static_cast<void>(job.split(3, "pair")), InternalError);
}

}  // namespace
}  // namespace stoa::parallel
