#pragma once
/// What every communicator keeps true, checked by the same tests on each of them. A test program compiles
/// the files *_conformance.cc and instantiates the suite with its kinds of group. It is in several parts: each kind is
/// in those that apply to it, so that no test is skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mesh.h"
#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {

/// `group` is under test; `side` is another group of the same ranks with a long deadline, by which a test keeps its
/// ranks in step while `group` is broken.
using RankBody = std::function<void(Communicator& group, Communicator& side)>;

/// What collectives give back.
enum class Values {
  kOfAllRanks,
  kOwn,  ///< a DryRun's: of sums this rank's term, zeros where others' bytes would stand
};

struct GroupKind {
  std::string name;
  int ranks = 1;
  /// Runs body on those ranks that live in this process. Throws what body threw.
  std::function<void(double deadline_s, const RankBody& body)> run;
  Values values = Values::kOfAllRanks;
  bool sees_calls = true;  ///< ranks that make different calls are told at once
};

inline std::ostream& operator<<(std::ostream& out, const GroupKind& kind) { return out << kind.name; }

/// The groups that the tests split off, and the colour that a rank of `ranks` gives for each of them.
inline constexpr std::string_view kWhole = "data group";         ///< all
inline constexpr std::string_view kEveryOther = "tensor group";  ///< even ranks, odd ranks
inline constexpr std::string_view kPair = "pair";                ///< ranks 0 and 1, 2 and 3, ...
inline constexpr std::string_view kMost = "model group";         ///< rank 0 by itself, all others
inline constexpr std::string_view kInner = "inner";              ///< of those the last by itself, all others
int colour_for(std::string_view group, int rank, int ranks);

/// What a sum over rank_values comes to on this rank.
template <typename T>
std::vector<T> expected_sums(const Communicator& group, Values values, std::size_t n) {
  return values == Values::kOwn ? rank_values<T>(group.rank(), n) : tree_sums<T>(group.size(), n);
}

/// That every group of a mesh over `job` has the right ranks, and that they meet in it.
void expect_mesh(Communicator& job, const MeshSize& size);

/// What every kind keeps true.
class CommunicatorConformance : public testing::TestWithParam<GroupKind> {
 protected:
  static constexpr double kLong_s = 60;
  /// A group of MPI ranks forms in 0.1 s on a busy machine, and that too has to be within the deadline.
  static constexpr double kShort_s = 0.7;

  /// On a machine that other work keeps busy nothing here takes this long.
  void run(const RankBody& body) { GetParam().run(kLong_s, body); }
};

/// Where the values of the other ranks come here.
class ValuesConformance : public CommunicatorConformance {
 public:
  static bool fits(const GroupKind& kind) { return kind.values == Values::kOfAllRanks; }
};

/// Where others can stay away or fail.
class OthersConformance : public CommunicatorConformance {
 public:
  static bool fits(const GroupKind& kind) { return ValuesConformance::fits(kind) && kind.ranks > 1; }
};

/// Where a group of several ranks is not the whole.
class PartsConformance : public CommunicatorConformance {
 public:
  static bool fits(const GroupKind& kind) { return ValuesConformance::fits(kind) && kind.ranks > 2; }
};

/// Where ranks see each other's calls.
class CallsConformance : public CommunicatorConformance {
 public:
  static bool fits(const GroupKind& kind) { return OthersConformance::fits(kind) && kind.sees_calls; }
};

template <typename Suite>
std::vector<GroupKind> kinds_for(const std::vector<GroupKind>& kinds) {
  std::vector<GroupKind> fitting;
  std::copy_if(kinds.begin(), kinds.end(), std::back_inserter(fitting), Suite::fits);
  return fitting;
}

/// The whole suite with `kinds`, a call that gives a vector of GroupKind.
#define STOA_INSTANTIATE_CONFORMANCE(prefix, kinds)                                                           \
  constexpr auto name_of_kind = [](const auto& instance) { return instance.param.name; };                     \
  INSTANTIATE_TEST_SUITE_P(prefix, CommunicatorConformance, testing::ValuesIn(kinds), name_of_kind);          \
  INSTANTIATE_TEST_SUITE_P(prefix, ValuesConformance, testing::ValuesIn(kinds_for<ValuesConformance>(kinds)), \
                           name_of_kind);                                                                     \
  INSTANTIATE_TEST_SUITE_P(prefix, OthersConformance, testing::ValuesIn(kinds_for<OthersConformance>(kinds)), \
                           name_of_kind);                                                                     \
  INSTANTIATE_TEST_SUITE_P(prefix, PartsConformance, testing::ValuesIn(kinds_for<PartsConformance>(kinds)),   \
                           name_of_kind);                                                                     \
  INSTANTIATE_TEST_SUITE_P(prefix, CallsConformance, testing::ValuesIn(kinds_for<CallsConformance>(kinds)),   \
                           name_of_kind)

}  // namespace stoa::parallel
