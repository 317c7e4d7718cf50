#include "stoa/checkpoint/checkpoint_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "stoa/checkpoint/verify.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double kDeadline_s = 60;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  std::filesystem::path folder(std::int64_t step) const { return directory_.path() / fmt::format("step-{:08}", step); }
  CheckpointStore store(const std::string& attempt = "1") { return {directory_.path(), attempt, log_}; }

  void save(std::int64_t step, int ranks = 1, Cut cut = Cut::kFirstDim, std::int64_t keep_last = 9) {
    parallel::run_thread_ranks(ranks, kDeadline_s, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), ranks, cut);
      model.fill(step);
      store().save({step, Json{{"consumed_samples", step * 3}}}, model.to_save(), group, {keep_last});
    });
  }

  /// The step that `ranks` ranks load, each with exactly the values of that step.
  std::int64_t load(int ranks = 1, Cut cut = Cut::kFirstDim) {
    std::vector<std::int64_t> steps(static_cast<std::size_t>(ranks), -1);
    parallel::run_thread_ranks(ranks, kDeadline_s, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), ranks, cut);
      const auto state = store().load_newest(model.to_load(), group);
      if (!state) return;
      EXPECT_EQ(model.difference(state->step), "");
      EXPECT_EQ(state->state.at("consumed_samples"), state->step * 3);
      steps[static_cast<std::size_t>(group.rank())] = state->step;
    });
    for (const std::int64_t step : steps) EXPECT_EQ(step, steps[0]);
    return steps[0];
  }

  std::vector<std::int64_t> listed() {
    std::vector<std::int64_t> steps;
    for (const CheckpointEntry& entry : store().list()) steps.push_back(entry.step);
    return steps;
  }

  TemporaryFolder directory_;
  Log log_{stderr, "test", LogLevel::kError};
  parallel::OneRank one_;
};

TEST_F(CheckpointStoreTest, LoadsNothingWhereNothingWasPublished) { EXPECT_EQ(load(), -1); }

TEST_F(CheckpointStoreTest, AnyCutLoadsAnyOtherCutBitForBit) {
  std::int64_t step = 0;
  for (const int saved_by : {1, 2, 3})
    for (const Cut saved_cut : {Cut::kFirstDim, Cut::kLastDim}) {
      save(++step, saved_by, saved_cut);
      for (const int loaded_by : {1, 2, 3})
        for (const Cut loaded_cut : {Cut::kFirstDim, Cut::kLastDim}) EXPECT_EQ(load(loaded_by, loaded_cut), step);
    }
}

TEST_F(CheckpointStoreTest, PiecesBeyondOneTransferLoadAcrossOtherCuts) {
  // 1033 x 1031 floats are 4.06 MiB: two transfers of five chunks. A cut by columns takes a part of each row of all,
  // one by rows begins and ends inside chunks.
  const std::vector<GlobalTensor> large{{"large", DType::kFloat32, {1033, 1031}}};
  SmallModel whole(0, 1, Cut::kFirstDim, large);
  whole.fill(7);
  store().save({7, Json::object()}, whole.to_save(), one_, {1});
  for (const Cut cut : {Cut::kFirstDim, Cut::kLastDim})
    parallel::run_thread_ranks(3, kDeadline_s, [&](parallel::Communicator& group) {
      SmallModel part(group.rank(), 3, cut, large);
      store().load_newest(part.to_load(), group);
      EXPECT_EQ(part.difference(7), "");
    });
  SmallModel again(0, 1, Cut::kFirstDim, large);
  store().load(folder(7), again.to_load());
  EXPECT_EQ(again.difference(7), "");
}

TEST_F(CheckpointStoreTest, StateComesBackBitForBit) {
  const Json state{{"third", 1.0 / 3},
                   {"tiny", 4.9406564584124654e-324},
                   {"minus_zero", -0.0},
                   {"seed", 18446744073709551615u},
                   {"window", {1.5, 2.0000000000000004}},
                   {"nothing", nullptr}};
  SmallModel model(0, 1, Cut::kFirstDim);
  model.fill(3);
  store().save({3, state}, model.to_save(), one_, {1});
  const CheckpointState loaded = store().read_state(folder(3));
  EXPECT_EQ(loaded.step, 3);
  EXPECT_EQ(loaded.state.dump(), state.dump());
  EXPECT_EQ(loaded.state["third"].get<double>(), 1.0 / 3);
  EXPECT_TRUE(std::signbit(loaded.state["minus_zero"].get<double>()));
}

TEST_F(CheckpointStoreTest, RefusesAStateThatJsonWouldChange) {
  EXPECT_THAT(
      [&] {
        store().save({3, Json{{"loss", std::nan("")}}}, {}, one_, {1});
      },
      ThrowsMessage<InternalError>(HasSubstr("would not come back")));
  EXPECT_THAT(
      [&] {
        store().save({3, Json{{"name", "\xff"}}}, {}, one_, {1});
      },
      ThrowsMessage<InternalError>(HasSubstr("would not come back")));
  EXPECT_EQ(listed(), std::vector<std::int64_t>{});
}

TEST_F(CheckpointStoreTest, LatestNamesTheLastPublishedStep) {
  save(1);
  save(2);
  EXPECT_EQ(std::filesystem::read_symlink(directory_.path() / "latest"), "step-00000002");
}

TEST_F(CheckpointStoreTest, KeepsTheLastOnesAndNeverFewerThanOne) {
  for (const std::int64_t step : {1, 2, 3, 4}) save(step, 1, Cut::kFirstDim, 2);
  EXPECT_EQ(listed(), (std::vector<std::int64_t>{3, 4}));
  save(5, 1, Cut::kFirstDim, 0);
  EXPECT_EQ(listed(), std::vector<std::int64_t>{5});
  EXPECT_EQ(load(), 5);
}

TEST_F(CheckpointStoreTest, RetentionNeverTouchesALaterStep) {
  save(9);
  save(4, 1, Cut::kFirstDim, 1);
  EXPECT_EQ(listed(), (std::vector<std::int64_t>{4, 9}));
}

TEST_F(CheckpointStoreTest, RemovesWhatUnfinishedSavesLeftUpToThisStep) {
  for (const char* name : {"step-00000002.partial-0", "step-00000003.partial-0", "step-00000005.partial-0"})
    std::filesystem::create_directories(directory_.path() / name / "inside");
  save(3);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "step-00000002.partial-0"));
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "step-00000003.partial-0"));
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "step-00000005.partial-0"));
}

TEST_F(CheckpointStoreTest, AnotherAttemptCannotReplaceAWholeStep) {
  save(6);
  SmallModel model(0, 1, Cut::kFirstDim);
  model.fill(60);
  EXPECT_THAT(
      [&] {
        store("2").save({6, Json::object()}, model.to_save(), one_, {1});
      },
      ThrowsMessage<StorageError>(AllOf(HasSubstr("step 6 is already published"), HasSubstr("attempt 1"))));
  EXPECT_EQ(load(), 6);
}

TEST_F(CheckpointStoreTest, AStepThatIsNotWholeIsReplaced) {
  save(6);
  std::filesystem::resize_file(folder(6) / "shard-00000-of-00001.h5", 100);
  save(6);
  EXPECT_EQ(load(), 6);
  EXPECT_EQ(listed(), std::vector<std::int64_t>{6});
}

TEST_F(CheckpointStoreTest, OtherFoldersAreNotTakenForCheckpoints) {
  save(1);
  for (const char* name : {"step-2", "step-00000003.partial-1", "step-0000000004", "step--0000005", "steps"})
    std::filesystem::create_directory(directory_.path() / name);
  EXPECT_EQ(listed(), std::vector<std::int64_t>{1});
}

/// One tensor [4, 6] in boxes {row, column, rows, columns}.
std::string save_boxes(CheckpointStore store, const std::vector<std::array<std::int64_t, 4>>& boxes) {
  parallel::OneRank one;
  const std::vector<float> values(24);
  std::vector<PieceToSave> pieces;
  for (const auto& [row, column, rows, columns] : boxes)
    pieces.push_back({{"weight", DType::kFloat32, {4, 6}},
                      {{row, column}, {rows, columns}},
                      std::span(values).first(static_cast<std::size_t>(rows * columns))});
  try {
    store.save({1, Json::object()}, pieces, one, {1});
    return "saved";
  } catch (const InternalError& error) {
    return error.what();
  }
}

TEST_F(CheckpointStoreTest, EveryElementMustBeSavedExactlyOnce) {
  EXPECT_EQ(save_boxes(store(), {{0, 0, 4, 3}, {0, 3, 3, 3}}),
            "tensor weight: its pieces hold 21 of the 24 elements of shape [4, 6]");
  // The volumes add up, the boxes do not tile.
  EXPECT_EQ(save_boxes(store(), {{0, 0, 2, 6}, {1, 0, 2, 6}}),
            "tensor weight: pieces [0:2, 0:6] and [1:3, 0:6] overlap");
  EXPECT_EQ(listed(), std::vector<std::int64_t>{});
  EXPECT_EQ(save_boxes(store(), {{0, 0, 4, 3}, {0, 3, 3, 3}, {3, 3, 1, 3}, {4, 0, 0, 6}}), "saved");
}

TEST_F(CheckpointStoreTest, RanksThatDisagreeAboutAShapeAllThrow) {
  std::vector<std::string> errors(2);
  parallel::run_thread_ranks(2, kDeadline_s, [&](parallel::Communicator& group) {
    const std::vector<float> values(3);
    const PieceToSave piece{{"w", DType::kFloat32, {6 + group.rank()}}, {{group.rank() * 3}, {3}}, values};
    try {
      store().save({1, Json::object()}, std::span(&piece, 1), group, {1});
    } catch (const InternalError& error) {
      errors[static_cast<std::size_t>(group.rank())] = error.what();
    }
  });
  EXPECT_EQ(errors[0], "rank 0: tensor w: one piece says shape [6], another [7]");
  EXPECT_EQ(errors[1], errors[0]);
}

TEST_F(CheckpointStoreTest, NamesAreCheckedBeforeAnythingIsWritten) {
  for (const char* name : {"", "/a", "a/", "a//b", "../a", "a/./b", "a b", "a@b"}) {
    const float value = 1;
    const PieceToSave piece{{name, DType::kFloat32, {}}, {}, std::span(&value, 1)};
    EXPECT_THROW(store().save({1, Json::object()}, std::span(&piece, 1), one_, {1}), InternalError) << name;
  }
  EXPECT_EQ(listed(), std::vector<std::int64_t>{});
}

TEST_F(CheckpointStoreTest, MissingMisshapedAndExtraTensorsAreNamed) {
  save(8);
  std::vector<GlobalTensor> other = SmallModel::tensors();
  other[4].shape = {258};
  SmallModel misshaped(0, 1, Cut::kFirstDim, other);
  EXPECT_THAT([&] { store().load_newest(misshaped.to_load(), one_); },
              ThrowsMessage<CheckpointError>(HasSubstr("parameters/bias has shape [257], but this model needs [258]")));
  other[4] = {"parameters/unknown", DType::kFloat32, {257}};
  SmallModel renamed(0, 1, Cut::kFirstDim, other);
  EXPECT_THAT([&] { store().load_newest(renamed.to_load(), one_); },
              ThrowsMessage<CheckpointError>(HasSubstr("has no tensor parameters/unknown")));
  other.erase(other.begin() + 4);
  SmallModel fewer(0, 1, Cut::kFirstDim, other);
  EXPECT_THAT([&] { store().load_newest(fewer.to_load(), one_); },
              ThrowsMessage<CheckpointError>(HasSubstr("this model does not have: parameters/bias")));
  EXPECT_EQ(store().load(folder(8), fewer.to_load()).step, 8);
  EXPECT_EQ(fewer.difference(8), "");
}

TEST_F(CheckpointStoreTest, VerifyReadsEveryByteOfEveryShard) {
  save(2, 3);
  EXPECT_EQ(verify_checkpoint(folder(2)).shards.size(), 3u);
}

}  // namespace
}  // namespace stoa::checkpoint
