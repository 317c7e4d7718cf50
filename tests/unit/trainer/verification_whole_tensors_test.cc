/// Tensors are put together only where the ranks' parts tile them and copies agree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/verification_cases.h"
#include "stoa/trainer/model/parameter_parts.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

/// What a rank brings, to be changed by a test.
struct Brought {
  ParameterTable table;
  FlatRanges held, counted;
  std::vector<float> values;
};

const Parameter& parameter(const ParameterTable& table, std::string_view name) {
  return *std::find_if(table.parameters.begin(), table.parameters.end(),
                       [&](const Parameter& candidate) { return candidate.name == name; });
}

/// The number of each element in its tensor.
std::vector<float> numbered(const ParameterTable& table) {
  std::vector<float> values(std::size_t(table.elements), -1);
  for (const ParameterPart& part : parameter_parts(table, FlatRanges{whole_range(table)}, values.size())) {
    const auto& shape = table.parameters[part.parameter].shape;
    const bool matrix = shape.size() > 1;
    const std::int64_t columns = matrix ? part.box.size[1] : 1, stride = matrix ? shape[1] : 1;
    const std::int64_t first = part.box.begin[0] * stride + (matrix ? part.box.begin[1] : 0);
    for (std::int64_t i = 0; i < part.box.elements(); ++i)
      values[std::size_t(part.offset + i)] = float(first + i / columns * stride + i % columns);
  }
  return values;
}

/// On two data ranks, two stages and two tensor ranks of a tied model: copies of every kind.
WholeTensors gather_changed(const std::function<void(int rank, Brought& mine)>& change) {
  StepSettings settings = verified_llama(Tied::kYes);
  settings.parallel.mesh = {.data = 2, .pipeline = 2, .tensor = 2};
  WholeTensors whole;
  parallel::run_thread_ranks(8, kVerificationDeadline_s, [&](parallel::Communicator& job) {
    const parallel::MeshCoordinate at = mesh_coordinate(settings.parallel.mesh, job.rank());
    Brought mine;
    mine.table = make_parameter_table(settings.model, model_share(settings.model, settings.parallel, at));
    mine.held = {whole_range(mine.table)};
    mine.counted = row_ranges(mine.table, 2, at.data);
    mine.values = numbered(mine.table);
    change(job.rank(), mine);
    WholeTensors here = gather_whole(job, {mine.table, mine.held, mine.counted, mine.values});
    if (job.rank() == 0)
      whole = std::move(here);
    else
      EXPECT_TRUE(here.empty());
  });
  return whole;
}

std::string message_of(const std::function<void(int rank, Brought& mine)>& change) {
  try {
    gather_changed(change);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(VerificationWholeTensors, PartsOfAllRanksMakeEachTensorOnce) {
  const WholeTensors whole = gather_changed([](int, Brought&) {});
  const ParameterTable table = make_parameter_table(verified_llama(Tied::kYes).model);
  EXPECT_EQ(whole.size(), table.parameters.size());
  for (const Parameter& expected : table.parameters) {
    const WholeTensor& tensor = whole.at(expected.name);
    EXPECT_EQ(tensor.shape, expected.shape);
    for (std::size_t i = 0; i < tensor.values.size(); ++i) ASSERT_EQ(tensor.values[i], float(i)) << expected.name;
  }
}

TEST(VerificationWholeTensors, WhatNobodyCountsIsNamed) {
  EXPECT_THAT(message_of([](int rank, Brought& mine) {
                if (rank == 5) mine.counted.clear();
              }),
              HasSubstr("no rank counts element"));
}

TEST(VerificationWholeTensors, WhatTwoRanksCountIsNamed) {
  EXPECT_THAT(message_of([](int rank, Brought& mine) {
                if (rank == 2) mine.counted = mine.held;
              }),
              HasSubstr("two ranks count element"));
}

TEST(VerificationWholeTensors, ACopyWithAnotherBitIsNamed) {
  struct Copy {
    const char* name;
    int rank;  // (pipeline * 2 + data) * 2 + tensor
  };
  for (const Copy& copy : {Copy{"layers.0.feed_forward.up.weight", 2},  // of a data rank
                           Copy{"layers.0.attention_norm.weight", 1},   // replicated on the tensor axis
                           Copy{"embedding.weight", 6}})                // of the head, tied
    EXPECT_THAT(message_of([&](int rank, Brought& mine) {
                  if (rank == copy.rank) mine.values[std::size_t(parameter(mine.table, copy.name).offset)] += 1;
                }),
                HasSubstr(std::string(copy.name) + ": two ranks that hold element 0 disagree: "));
}

}  // namespace
}  // namespace stoa::trainer
