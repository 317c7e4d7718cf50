#include "stoa/checkpoint/background_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <thread>

#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double kDeadline_s = 60;
constexpr std::int64_t kAll = std::int64_t{1} << 40;

/// One that a staging of two chunks holds a part of, on two ranks too.
std::vector<GlobalTensor> larger_than_two_chunks() {
  std::vector<GlobalTensor> tensors = SmallModel::tensors();
  tensors.push_back({"adam_v/large", DType::kFloat32, {3001, 1001}});
  tensors.push_back({"adam_v/larger", DType::kFloat32, {5001, 1001}});
  return tensors;
}

class BackgroundSaveTest : public ::testing::Test {
 protected:
  CheckpointStore store(const std::string& attempt = "1") { return {directory_.path(), attempt, log_}; }

  void expect_loads(std::int64_t step, int ranks, const std::vector<GlobalTensor>& tensors) {
    parallel::run_thread_ranks(ranks, kDeadline_s, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), ranks, Cut::kLastDim, tensors);
      const auto state = store().load_newest(model.to_load(), group);
      ASSERT_TRUE(state);
      EXPECT_EQ(state->step, step);
      EXPECT_EQ(model.difference(step), "");
    });
  }

  /// On two ranks whose values change as soon as start() is back.
  void save_and_change(std::int64_t staging_bytes, const std::vector<GlobalTensor>& tensors) {
    parallel::run_thread_ranks(2, kDeadline_s, [&](parallel::Communicator& job) {
      CheckpointStore files = store();
      BackgroundSave saving(files, job.split(0, "checkpoint group"), staging_bytes);
      SmallModel model(job.rank(), 2, Cut::kFirstDim, tensors);
      for (const std::int64_t step : {3, 4}) {
        model.fill(step);
        saving.start({step, Json::object()}, model.to_save(), {9});
        EXPECT_TRUE(saving.under_way());
        model.fill(99);
        const auto saved = saving.finish();
        ASSERT_TRUE(saved);
        EXPECT_EQ(saved->step, step);
        EXPECT_GT(saved->bytes, 0);
        EXPECT_GE(saved->seconds, saved->paused_s);
        EXPECT_FALSE(saving.under_way());
      }
      EXPECT_FALSE(saving.finish());
    });
    expect_loads(4, 3, tensors);
  }

  TemporaryFolder directory_;
  Log log_{stderr, "test", LogLevel::kError};
};

TEST_F(BackgroundSaveTest, SavesWhatItWasGivenThoughTheCallersMemoryChanges) {
  save_and_change(kAll, SmallModel::tensors());
}

TEST_F(BackgroundSaveTest, SavesTheSameThroughACopyThatHoldsAPart) { save_and_change(1, larger_than_two_chunks()); }

TEST_F(BackgroundSaveTest, AFailureIsFinishsToThrowAndHoldsNobodyUp) {
  save_and_change(kAll, larger_than_two_chunks());
  parallel::run_thread_ranks(2, kDeadline_s, [&](parallel::Communicator& job) {
    CheckpointStore files = store("2");
    BackgroundSave saving(files, job.split(0, "checkpoint group"), 1);
    SmallModel model(job.rank(), 2, Cut::kFirstDim, larger_than_two_chunks());
    model.fill(4);
    saving.start({4, Json::object()}, model.to_save(), {9});
    EXPECT_THAT([&] { saving.finish(); }, ThrowsMessage<StorageError>(HasSubstr("step 4 is already published")));
    saving.start({5, Json::object()}, model.to_save(), {9});
    EXPECT_EQ(saving.finish()->step, 5);
  });
}

TEST_F(BackgroundSaveTest, AnExceptionOfTheTrainingEndsTheSaveOnAllRanks) {
  const auto body = [&](parallel::Communicator& job) {
    CheckpointStore files = store();
    BackgroundSave saving(files, job.split(0, "checkpoint group"), kAll);
    SmallModel model(job.rank(), 2, Cut::kFirstDim);
    model.fill(1);
    // Rank 1 never comes to the save.
    if (job.rank() == 0) saving.start({1, Json::object()}, model.to_save(), {9});
    throw NumericError("the loss is not a number");
  };
  EXPECT_THROW(parallel::run_thread_ranks(2, kDeadline_s, body), NumericError);
}

TEST(StagedChunks, ComeOutAsTheyWentInThroughLessMemoryThanTheyHave) {
  StagedChunks staged(0);
  std::mt19937 random(7);
  std::vector<std::vector<std::byte>> chunks(257);
  for (auto& chunk : chunks) {
    chunk.resize(1 + random() % (random() % 3 == 0 ? kTransferBytes : 5001));
    for (std::size_t i = 0; i < chunk.size(); i += 997) chunk[i] = std::byte(random());
  }
  std::thread writer([&] {
    for (const auto& chunk : chunks) {
      const auto taken = staged.take();
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken.data()) % StagedChunks::kAlignment, 0U);
      EXPECT_TRUE(std::equal(taken.begin(), taken.end(), chunk.begin(), chunk.end()));
    }
  });
  for (const auto& chunk : chunks) EXPECT_TRUE(staged.put(chunk));
  writer.join();
}

TEST(StagedChunks, AreNotWaitedForWhenTheOtherThreadGaveUp) {
  StagedChunks staged(0);
  const std::vector<std::byte> chunk(kTransferBytes);
  EXPECT_TRUE(staged.put(chunk));
  EXPECT_TRUE(staged.put(chunk));
  std::thread writer([&] { staged.give_up(); });
  EXPECT_FALSE(staged.put(chunk));
  writer.join();
  staged.clear();
  EXPECT_TRUE(staged.put(chunk));
}

}  // namespace
}  // namespace stoa::checkpoint
