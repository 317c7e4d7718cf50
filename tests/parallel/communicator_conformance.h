#pragma once
/// What every communicator keeps true, checked by the same tests on each of them. A test program compiles
/// communicator_conformance.cc and instantiates CommunicatorConformance with its kinds of group.
#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mesh.h"

namespace stoa::parallel {

/// `group` is under test; `side` is another group of the same ranks with a long deadline, by which a test keeps its
/// ranks in step while `group` is broken.
using RankBody = std::function<void(Communicator& group, Communicator& side)>;

struct GroupKind {
  std::string name;
  int ranks = 1;
  /// Runs body on those ranks that live in this process. Throws what body threw.
  std::function<void(double deadline_s, const RankBody& body)> run;
  bool sees_calls = true;    ///< ranks that make different calls are told at once
  std::string why_not = "";  ///< why these ranks cannot form such a group; empty where they can
};

inline std::ostream& operator<<(std::ostream& out, const GroupKind& kind) { return out << kind.name; }

/// That every group of a mesh over `job` has the right ranks, and that they meet in it.
void expect_mesh(Communicator& job, const MeshSize& size);

class CommunicatorConformance : public testing::TestWithParam<GroupKind> {
 protected:
  static constexpr double kLong_s = 60;
  static constexpr double kShort_s = 0.3;

  void SetUp() override {
    if (!GetParam().why_not.empty()) GTEST_SKIP() << GetParam().why_not;
  }

  /// On a machine that other work keeps busy nothing here takes this long.
  void run(const RankBody& body) { GetParam().run(kLong_s, body); }
};

}  // namespace stoa::parallel
