/// Sums of gradients whose rows are mostly zero have the bits of sums of everything, and send the touched rows only.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/parallel/dry_run.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/tests/unit/trainer/optimizer_cases.h"
#include "stoa/trainer/optimizer/row_sums.h"

namespace stoa::trainer {
namespace {

using parallel::Communicator;

using Touches = std::function<bool(int rank, std::int64_t row)>;

struct Rows {
  std::string name;
  Touches touches;
};

bool nobody(int, std::int64_t) { return false; }
bool few(int rank, std::int64_t row) { return row % 11 == rank % 3; }
bool runs(int rank, std::int64_t row) { return row % 31 >= 20 + rank && row % 31 < 25; }
bool everyone(int, std::int64_t) { return true; }
bool last_of_one_rank(int rank, std::int64_t row, std::int64_t rows) { return rank == 1 && row + 1 == rows; }

std::vector<Rows> cases_of(std::int64_t rows) {
  return {{"none", nobody},
          {"few", few},
          {"runs", runs},
          {"all", everyone},
          {"the last", [rows](int rank, std::int64_t row) { return last_of_one_rank(rank, row, rows); }},
          {"more than half", [](int rank, std::int64_t row) { return (row + rank) % 3 == 0; }}};
}

/// Values that every order of adding rounds differently, with zeros of both signs, infinities and no numbers.
float value(int rank, std::int64_t row, std::int64_t column) {
  const auto draw = std::uint64_t((row * 7919 + column) * 16 + rank) * 0x9e3779b97f4a7c15U >> 40;
  switch (draw % 23) {
    case 0:
      return -0.0F;
    case 1:
      return 0.0F;
    case 2:
      return draw % 64 == 2 ? std::numeric_limits<float>::infinity() : 1.0F;
    case 3:
      return draw % 64 == 3 ? std::nanf("") : -1.0F;
    default:
      return std::ldexp(float(draw % 4096) - 2047.5F, int(draw % 17) - 8);
  }
}

std::vector<float> terms_of(const RowShape& shape, const Touches& touches, int rank) {
  std::vector<float> terms(std::size_t(shape.elements), 0.0F);
  for (std::int64_t i = 0; i < shape.elements; ++i)
    if (touches(rank, i / shape.width)) terms[std::size_t(i)] = value(rank, i / shape.width, i % shape.width);
  return terms;
}

std::vector<std::uint32_t> bits_of(std::span<const float> values) {
  std::vector<std::uint32_t> bits;
  for (const float one : values) bits.push_back(std::bit_cast<std::uint32_t>(one));
  return bits;
}

/// Uneven, some of them empty, cutting rows.
std::vector<std::size_t> uneven_parts(std::int64_t elements, int ranks) {
  std::vector<std::size_t> parts(std::size_t(ranks), 0);
  std::int64_t left = elements;
  for (std::size_t r = 0; r + 1 < parts.size(); ++r) {
    parts[r] = r % 3 == 1 ? 0 : std::size_t(left / 3);
    left -= std::int64_t(parts[r]);
  }
  parts.back() = std::size_t(left);
  return parts;
}

struct RowCase {
  RowShape shape;
  std::int64_t packed_elements = 0;
};

const RowCase kCases[] = {
    {{.elements = 1, .width = 1}, 0},
    {{.elements = 33 * 7, .width = 7}, 5},
    {{.elements = 65 * 33 - 4, .width = 33}, 100},
    {{.elements = 257 * 65, .width = 65}, 1000},
    {{.elements = 129 * 17 + 1, .width = 17}, 1 << 20},
};

/// On 2 to 5 thread ranks, with every kind of touched rows, one RowSums for several sums.
void for_each_case(const std::function<void(Communicator&, RowSums&, const RowShape&, const Rows&)>& check) {
  for (const int ranks : {2, 3, 5})
    for (const RowCase& test : kCases)
      parallel::run_thread_ranks(ranks, kLoopDeadline_s, [&](Communicator& data) {
        RowSums sums(data, test.shape, test.packed_elements);
        for (const Rows& rows : cases_of(test.shape.rows())) {
          SCOPED_TRACE(fmt::format("{} ranks, {} x {}, rows touched: {}", ranks, test.shape.rows(), test.shape.width,
                                   rows.name));
          check(data, sums, test.shape, rows);
        }
      });
}

TEST(OptimizerThreadRanksRowSums, HaveTheBitsOfTheSumOfEverything) {
  for_each_case([](Communicator& data, RowSums& sums, const RowShape& shape, const Rows& rows) {
    std::vector<float> terms = terms_of(shape, rows.touches, data.rank()), expected = terms;
    data.all_reduce(std::span(expected), parallel::ReduceOp::kSum, "expected");
    sums.all_reduce(data, terms);
    EXPECT_EQ(bits_of(terms), bits_of(expected));
  });
}

TEST(OptimizerThreadRanksRowSums, ScatteredInPlaceOrElsewhereHaveTheBitsOfTheSumOfEverything) {
  for_each_case([](Communicator& data, RowSums& sums, const RowShape& shape, const Rows& rows) {
    const std::vector<std::size_t> parts = uneven_parts(shape.elements, data.size());
    const auto me = std::size_t(data.rank());
    const auto begin = std::reduce(parts.begin(), parts.begin() + std::ptrdiff_t(me), std::size_t{0});
    const std::vector<float> given = terms_of(shape, rows.touches, data.rank());
    std::vector<float> terms = given, expected(parts[me]), elsewhere(parts[me], 257.0F);
    data.reduce_scatter(terms, parts, expected, "expected");
    terms = given;
    const auto inside = std::span(terms).subspan(begin, parts[me]);
    sums.reduce_scatter(data, terms, parts, inside);
    EXPECT_EQ(bits_of(inside), bits_of(expected));
    terms = given;
    sums.reduce_scatter(data, terms, parts, elsewhere);
    EXPECT_EQ(bits_of(elsewhere), bits_of(expected));
  });
}

TEST(OptimizerThreadRanksRowSums, CountTheRowsOfAllRanks) {
  constexpr RowShape kShape{.elements = 257 * 3, .width = 3};
  parallel::run_thread_ranks(3, kLoopDeadline_s, [&](Communicator& data) {
    RowSums sums(data, kShape, 33);
    // A row of which only the sign of a zero is set counts.
    std::vector<float> terms(std::size_t(kShape.elements), 0.0F);
    terms[std::size_t(3 * (7 + 64 * data.rank()))] = -0.0F;
    terms[3 * 256 + 2] = 1.0F;
    sums.all_reduce(data, terms);
    EXPECT_EQ(sums.touched_rows(), 4);
    EXPECT_EQ(terms[3 * 256 + 2], 3.0F);
  });
}

/// What a rank of four sends for a sum over 1031 rows of 33 of which it touches every n-th.
std::uint64_t sent_bytes(std::int64_t n, bool scattered) {
  constexpr RowShape kShape{.elements = 1031 * 33, .width = 33};
  parallel::TrafficLog log;
  parallel::DryRun data(1, 4, log, [](int, std::string_view) { return 0; });
  RowSums sums(data, kShape, 257);
  std::vector<float> terms = terms_of(
      kShape, [n](int, std::int64_t row) { return row % n == 0; }, data.rank());
  const std::vector<std::size_t> parts = {8507, 8507, 8507, 8502};
  if (scattered)
    sums.reduce_scatter(data, terms, parts, std::span(terms).subspan(8507, 8507));
  else
    sums.all_reduce(data, terms);
  return log.total_bytes();
}

TEST(OptimizerRowSums, SendTheTouchedRowsAndAWordForEachSixtyFour) {
  constexpr std::uint64_t kMask = 17 * 8 * 3;  // to each of three others
  const std::uint64_t all = sent_bytes(1, false) - kMask;
  for (const std::int64_t n : {10, 33}) {
    const double rows = std::ceil(1031.0 / double(n)), pieces = std::ceil(rows * 33 / 257);
    // A piece is cut into four parts, rounded to whole values, each sent to or gathered by three ranks.
    EXPECT_NEAR(double(sent_bytes(n, false) - kMask), double(all) * rows / 1031, pieces * 2 * 3 * 4);
    EXPECT_LT(double(sent_bytes(n, true) - kMask), double(all) * rows / 1031 / 2 * 1.1);
  }
}

OptimizerCase sparse_case(int data, Zero zero, SumOrder order) {
  OptimizerCase test{.model = small_gpt2(), .mesh = {.data = data}};
  test.model.vocabulary_size = 1031;
  test.embedding_rows_apart = 23;
  test.state.zero = zero;
  test.state.gradients.order = order;
  test.state.bucket_bytes = 257;
  return test;
}

TEST(OptimizerThreadRanksRowSums, AnEmbeddingOfWhichFewRowsAreTouchedTrainsAsOnOneRank) {
  const TrainedModel one = train(sparse_case(1, Zero::kNone, SumOrder::kTree));
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients})
    for (const int data : {2, 4}) {
      const TrainedModel trained = train(sparse_case(data, zero, SumOrder::kTree));
      EXPECT_EQ(trained.gradients, one.gradients) << "ZeRO " << int(zero) << ", data " << data;
      EXPECT_EQ(trained.masters, one.masters) << "ZeRO " << int(zero) << ", data " << data;
    }
}

// One micro-batch a rank: what is summed in any order is summed over ranks along the tree.
TEST(OptimizerThreadRanksRowSums, InTheFastOrderTooWhereEachRankHasOneMicroBatch) {
  OptimizerCase reference = sparse_case(1, Zero::kNone, SumOrder::kTree);
  reference.global_micro_batches = 4;
  const TrainedModel one = train(reference);
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients}) {
    OptimizerCase test = sparse_case(4, zero, SumOrder::kFast);
    test.global_micro_batches = 4;
    const TrainedModel trained = train(test);
    EXPECT_EQ(trained.gradients, one.gradients) << "ZeRO " << int(zero);
    EXPECT_EQ(trained.masters, one.masters) << "ZeRO " << int(zero);
  }
}

}  // namespace
}  // namespace stoa::trainer
