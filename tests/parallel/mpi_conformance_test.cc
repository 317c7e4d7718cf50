/// The conformance suite on the ranks of an MPI job. Every rank runs every test; the job fails where one rank's test
/// fails.
#include <gtest/gtest.h>

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

std::vector<GroupKind> mpi_kinds() {
  const MpiCommunicator job(*session, 60, NodePath::kMessages);
  const int ranks = job.size();
  // The same on every rank: no node holds all of them, or one does.
  const bool one_node = job.local_size() == ranks;
  std::vector<GroupKind> kinds;
  for (const NodePath path : {NodePath::kSharedMemory, NodePath::kMessages, NodePath::kPairs}) {
    const bool shared = path == NodePath::kSharedMemory || (path == NodePath::kPairs && ranks <= 2);
    kinds.push_back({.name = name_of(path),
                     .ranks = ranks,
                     .run =
                         [=](double deadline_s, const RankBody& body) {
                           MpiCommunicator side(*session, 60, path);
                           MpiCommunicator group(*session, deadline_s, path);
                           EXPECT_EQ(group.shares_memory(), shared);
                           EXPECT_EQ(group.has_levels(), path == NodePath::kPairs && ranks == 4);
                           body(group, side);
                         },
                     .sees_calls = shared,
                     .why_not = path != NodePath::kMessages && !one_node
                                    ? "the ranks are on several nodes: they share no memory"
                                    : ""});
  }
  return kinds;
}

}  // namespace

// The number of ranks is known only once MPI runs, which is before main's RUN_ALL_TESTS evaluates this.
INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorConformance, testing::ValuesIn(mpi_kinds()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace stoa::parallel

int main(int argc, char** argv) {
  stoa::parallel::MpiSession session;
  stoa::parallel::session = &session;
  testing::InitGoogleTest(&argc, argv);
  const bool passed = RUN_ALL_TESTS() == 0;
  stoa::parallel::MpiCommunicator end(session, 60);
  return end.all_agree(passed, "test results") ? 0 : 1;
}
