/// The conformance suite on the ranks of an MPI job. Every rank runs every test; the job fails where one rank's test
/// fails.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "stoa/parallel/mpi_communicator.h"
#include "stoa/tests/parallel/communicator_conformance.h"

namespace stoa::parallel {
namespace {

MpiSession* session = nullptr;

std::string name_of(NodePath path) {
  switch (path) {
    case NodePath::kSharedMemory:
      return "SharedMemory";
    case NodePath::kMessages:
      return "Messages";
    case NodePath::kPairs:
      return "Pairs";
  }
  return "";
}

// The number of ranks is known only once MPI runs: not before main.
std::vector<GroupKind> find_kinds() {
  const MpiCommunicator job(*session, 60, NodePath::kMessages);
  const int ranks = job.size();
  std::vector<NodePath> paths = {NodePath::kMessages};
  // The same on every rank: one node holds all of them, or none does.
  if (job.local_size() == ranks)
    paths = {NodePath::kSharedMemory, NodePath::kMessages, NodePath::kPairs};
  else if (job.rank() == 0)
    fmt::print("The ranks are on several nodes: only messages are tested, no shared memory.\n");
  std::vector<GroupKind> kinds;
  for (const NodePath path : paths) {
    const bool shared = path == NodePath::kSharedMemory || (path == NodePath::kPairs && ranks <= 2);
    const bool levels = path == NodePath::kPairs && ranks > 2 && ranks % 2 == 0;
    const auto run = [=](double deadline_s, const RankBody& body) {
      MpiCommunicator side(*session, 60, path);
      MpiCommunicator group(*session, deadline_s, path);
      EXPECT_EQ(group.shares_memory(), shared);
      EXPECT_EQ(group.has_levels(), levels);
      body(group, side);
    };
    kinds.push_back({.name = name_of(path), .ranks = ranks, .run = run, .sees_calls = shared});
  }
  return kinds;
}

const std::vector<GroupKind>& mpi_kinds() {
  static const std::vector<GroupKind> kinds = find_kinds();
  return kinds;
}

}  // namespace

STOA_INSTANTIATE_CONFORMANCE(Mpi, mpi_kinds());
// One rank has no others, two form no part.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OthersConformance);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PartsConformance);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CallsConformance);

}  // namespace stoa::parallel

int main(int argc, char** argv) {
  stoa::parallel::MpiSession session;
  stoa::parallel::session = &session;
  testing::InitGoogleTest(&argc, argv);
  const bool passed = RUN_ALL_TESTS() == 0;
  stoa::parallel::MpiCommunicator end(session, 60);
  return end.all_agree(passed, "test results") ? 0 : 1;
}
