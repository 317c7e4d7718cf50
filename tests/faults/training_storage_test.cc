/// Disks that fill and checkpoints that rot under a run: the real programs under the real mpirun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/tests/faults/small_disk.h"
#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

const std::vector<std::string> kThirtySteps = {"training.steps=30"};

TEST(TrainingStorage, AFullDiskLeavesTheLastCheckpointAndTheRunGoesOnOnceThereIsSpace) {
  TrainingFolder folder;
  const Curve uninterrupted = folder.curve("whole", kThirtySteps);
  const fs::path directory = folder.run_directory("full");
  fs::create_directories(directory);
  // A checkpoint takes 535 KiB: the second one does not fit beside the first.
  const auto disk = SmallDisk::mount_at(directory, "size=1m");
  if (!disk) GTEST_SKIP() << "no file system can be mounted here";
  const CommandEnd end = folder.run("full", kThirtySteps);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kStorage)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr(directory.string() + "/"), HasSubstr("No space left on device")));
  EXPECT_TRUE(folder.nothing_is_running());
  EXPECT_TRUE(fs::exists(directory / "checkpoints/step-00000005/manifest.json"));
  EXPECT_FALSE(fs::exists(directory / "checkpoints/step-00000010"));

  for (const auto& entry : fs::directory_iterator(directory))
    EXPECT_NE(entry.path().extension(), ".partial") << entry.path();

  ASSERT_TRUE(disk->resize("size=64m"));
  const CommandEnd again = folder.run("full", kThirtySteps);
  EXPECT_EQ(again.process.exit_code, kExitFinished) << again.err;
  EXPECT_THAT(again.err, HasSubstr("resumed from step 5"));
  EXPECT_EQ(first_difference(read_curve(directory), uninterrupted), "");
}

/// What a limit of a batch system looks like. Without care the system would end the rank by SIGXFSZ. The shard is
/// larger than the limit; gradients and all that mpirun writes for itself are smaller.
TEST(TrainingStorage, ALimitOnFileSizesIsAStorageErrorNotASignal) {
  TrainingFolder folder;
  const std::vector<std::string> larger = {"training.steps=7", "parallel.data=1", "model.width=256",
                                           "model.feed_forward_width=1025"};
  const Curve uninterrupted = folder.curve("whole", larger);
  const CommandEnd end =
      folder.command(folder.run_words("limited", larger), "ulimit -f 20480; exec \"$@\"");  // of 512 bytes
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kStorage)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr(folder.run_directory("limited").string() + "/"), HasSubstr("File too large")));
  EXPECT_TRUE(folder.nothing_is_running());
  EXPECT_EQ(first_difference(folder.curve("limited", larger), uninterrupted), "");
}

void flip_one_byte(const fs::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = std::streamoff(fs::file_size(file) / 2);
  stream.seekg(middle);
  const char byte = char(stream.get() ^ 0x10);
  stream.seekp(middle);
  stream.put(byte);
  ASSERT_TRUE(stream.flush().good()) << file;
}

TEST(TrainingStorage, ADamagedCheckpointIsNamedAndTheOneBeforeItIsTaken) {
  TrainingFolder folder;
  const Curve uninterrupted = folder.curve("whole", kThirtySteps);
  folder.curve("damaged", {"training.steps=15"});
  const fs::path checkpoints = folder.run_directory("damaged") / "checkpoints";
  flip_one_byte(checkpoints / "step-00000015/shard-00001-of-00002.h5");
  const CommandEnd end = folder.run("damaged", kThirtySteps);
  EXPECT_EQ(end.process.exit_code, kExitFinished) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr("step-00000015/shard-00001-of-00002.h5"), HasSubstr("resumed from step 10")));
  Curve curve = read_curve(folder.run_directory("damaged"));
  curve.evaluations.erase(15);  // of the first command, after its last step
  EXPECT_EQ(first_difference(curve, uninterrupted), "");
}

TEST(TrainingStorage, WithoutAWholeCheckpointTheRunIsRefusedNotBegunAnew) {
  TrainingFolder folder;
  folder.curve("damaged", {"training.steps=15"});
  const fs::path checkpoints = folder.run_directory("damaged") / "checkpoints";
  flip_one_byte(checkpoints / "step-00000015/shard-00000-of-00002.h5");
  fs::resize_file(checkpoints / "step-00000010/shard-00001-of-00002.h5", 257);
  const CommandEnd end = folder.run("damaged", kThirtySteps);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kCheckpoint)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr("step-00000015/shard-00000-of-00002.h5"),
                             HasSubstr("step-00000010/shard-00001-of-00002.h5")));
  EXPECT_EQ(read_curve(folder.run_directory("damaged")).steps.size(), 15u);
  EXPECT_TRUE(folder.nothing_is_running());
}

}  // namespace
}  // namespace stoa::faults
