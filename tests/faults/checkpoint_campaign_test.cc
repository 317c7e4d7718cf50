/// Every moment of a save at which a process can die, and every one at which the power can fail: what was published
/// loads, with the values of its step, and the next save works and clears away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "stoa/checkpoint/background_save.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/inventory.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/faults/disk_image.h"
#include "stoa/tests/faults/traced_process.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;
using faults::AtStop;
using faults::TracedEnd;

enum class Way { kAtOnce, kBeside };

void save(const fs::path& directory, std::int64_t step, Way way) {
  Log log(stderr, "test", LogLevel::kError);
  parallel::run_thread_ranks(2, 60, [&](parallel::Communicator& ranks) {
    SmallModel model(ranks.rank(), 2, Cut::kFirstDim);
    model.fill(step);
    CheckpointStore store(directory, fmt::format("{}", step), log);
    const CheckpointState state{step, Json{{"step", step}}, std::nullopt};
    if (way == Way::kAtOnce) {
      store.save(state, model.to_save(), ranks, {2});
      return;
    }
    BackgroundSave saving(store, ranks.split(0, "checkpoint"), 1 << 20);
    saving.start(state, model.to_save(), {2});
    saving.finish();
  });
}

/// The step that one rank of another cut loads, bit for bit.
std::int64_t loaded_step(const fs::path& directory) {
  Log log(stderr, "test", LogLevel::kError);
  parallel::OneRank one;
  SmallModel model(0, 1, Cut::kLastDim);
  const auto state = CheckpointStore(directory, "reader", log).load_newest(model.to_load(), one);
  if (!state) return -1;
  EXPECT_EQ(model.difference(state->step), "");
  EXPECT_EQ(state->state.at("step"), state->step);
  return state->step;
}

/// After a fault in the save of step 3: steps 1 and 2 were published before.
void expect_nothing_lost(const fs::path& directory, std::map<std::int64_t, int>& found) {
  const std::int64_t step = loaded_step(directory);
  EXPECT_THAT(step, ::testing::AnyOf(2, 3));
  ++found[step];
  save(directory, 4, Way::kAtOnce);
  EXPECT_EQ(loaded_step(directory), 4);
  const Inventory inventory = take_inventory(directory);
  EXPECT_EQ(inventory.leftovers.size(), 0u);
  EXPECT_EQ(inventory.checkpoints.size(), 2u);
  for (const InventoryEntry& each : inventory.checkpoints) EXPECT_EQ(each.defect, "");
}

class CheckpointKill : public ::testing::TestWithParam<Way> {};

// Before every call; that is after the one before it.
TEST_P(CheckpointKill, BeforeAnyCallThatChangesFilesLosesNothing) {
  const TemporaryFolder folder;
  const fs::path before = folder.path() / "before", at = folder.path() / "at";
  for (const std::int64_t step : {1, 2}) save(before, step, Way::kAtOnce);
  std::map<std::int64_t, int> found;
  std::map<long, int> killed_at;
  bool went_through = false;
  for (std::int64_t number = 1; !went_through; ++number) {
    fs::remove_all(at);
    fs::copy(before, at, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const TracedEnd end = faults::run_traced(
        [&] {
          save(at, 3, GetParam());
          return 0;
        },
        [&](std::int64_t stop, long call) {
          if (stop == number) ++killed_at[call];
          return stop == number ? AtStop::kKill : AtStop::kGoOn;
        });
    went_through = !end.killed;
    EXPECT_EQ(end.exit_code, went_through ? 0 : -1);
    expect_nothing_lost(at, found);
    if (HasFailure()) FAIL() << "killed before call " << number;
  }
  // Both outcomes were seen, and each kind of call that a save is made of.
  EXPECT_GT(found[2], 30);
  EXPECT_GT(found[3], 3);
  EXPECT_GT(killed_at[SYS_fsync] + killed_at[SYS_fdatasync], 5);
  EXPECT_GT(killed_at[SYS_rename] + killed_at[SYS_renameat] + killed_at[SYS_renameat2], 2);
  EXPECT_GT(killed_at[SYS_write] + killed_at[SYS_pwrite64], 20);
  EXPECT_GT(killed_at[SYS_unlink] + killed_at[SYS_unlinkat], 2);
}

INSTANTIATE_TEST_SUITE_P(Ways, CheckpointKill, ::testing::Values(Way::kAtOnce, Way::kBeside),
                         [](const auto& each) { return each.param == Way::kAtOnce ? "AtOnce" : "Beside"; });

class CheckpointPowerCut : public ::testing::TestWithParam<Way> {};

// What ext4 has given to the disk at that moment, and nothing that it only holds in memory: the image is copied as it
// is, and the copy is mounted.
TEST_P(CheckpointPowerCut, AtAnyCallThatChangesFilesLosesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
  const TemporaryFolder folder;
  std::map<std::int64_t, int> found;
  int points = 0;
  faults::in_own_mounts([&] {
    faults::DiskImage disk(folder.path() / "disk", 24);
    for (const std::int64_t step : {1, 2}) save(disk.path() / "run", step, Way::kAtOnce);
    disk.sync();
    const TracedEnd end = faults::run_traced(
        [&] {
          save(disk.path() / "run", 3, GetParam());
          return 0;
        },
        [&](std::int64_t, long) {
          ++points;
          const faults::DiskImage after(disk, folder.path() / "after");
          expect_nothing_lost(after.path() / "run", found);
          return AtStop::kGoOn;
        });
    EXPECT_EQ(end.exit_code, 0);
    const faults::DiskImage after(disk, folder.path() / "after");
    expect_nothing_lost(after.path() / "run", found);
  });
  EXPECT_GT(points, 40);
  EXPECT_GT(found[2], 30);
  EXPECT_GT(found[3], 1);
}

INSTANTIATE_TEST_SUITE_P(Ways, CheckpointPowerCut, ::testing::Values(Way::kAtOnce, Way::kBeside),
                         [](const auto& each) { return each.param == Way::kAtOnce ? "AtOnce" : "Beside"; });

// That the cut is one: what nobody synced is not there afterwards.
TEST(DiskImage, DropsWhatWasNotSynced) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
  const TemporaryFolder folder;
  faults::in_own_mounts([&] {
    const faults::DiskImage disk(folder.path() / "disk", 24);
    write_file_durably(disk.path() / "synced", "257");
    const FileDescriptor file = open_file(disk.path() / "not-synced", O_WRONLY | O_CREAT);
    write_all(file.get(), std::as_bytes(std::span("257")), "not-synced");
    const faults::DiskImage after(disk, folder.path() / "after");
    EXPECT_EQ(read_text_file(after.path() / "synced"), "257");
    EXPECT_FALSE(fs::exists(after.path() / "not-synced"));
    EXPECT_TRUE(fs::exists(disk.path() / "not-synced"));
  });
}

// Past the page cache, which the tests on tmpfs cannot do.
TEST(CheckpointFull, ADiskThatFillsAtAnySizeNamesTheFileAndKeepsTheLastGoodOne) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
  const TemporaryFolder folder;
  faults::in_own_mounts([&] {
    const faults::DiskImage disk(folder.path() / "disk", 48);
    const fs::path run = disk.path() / "run", filler = disk.path() / "filler";
    const std::vector<GlobalTensor> large{{"large", DType::kFloat32, {1033, 1031}}};
    Log log(stderr, "test", LogLevel::kError);
    parallel::OneRank one;
    const auto save_large = [&](std::int64_t step) {
      SmallModel model(0, 1, Cut::kFirstDim, large);
      model.fill(step);
      CheckpointStore(run, "1", log).save({step, Json::object(), std::nullopt}, model.to_save(), one, {9});
    };
    save_large(1);
    for (const int kib : {0, 4, 12, 40, 1500, 4060}) {
      const FileDescriptor file = open_file(filler, O_WRONLY | O_CREAT | O_TRUNC);
      // The file's own extents need some of it.
      auto room = static_cast<off_t>(fs::space(disk.path()).available) - off_t(kib) * 1024;
      while (room > 0 && ::posix_fallocate(file.get(), 0, room) != 0) room -= 4096;
      ASSERT_GT(room, 0);
      EXPECT_THAT([&] { save_large(2); },
                  ::testing::ThrowsMessage<StorageError>(
                      ::testing::AllOf(::testing::HasSubstr("step-00000002"), ::testing::HasSubstr("No space left"))))
          << kib;
      fs::remove(filler);
      const Inventory inventory = take_inventory(run);
      EXPECT_EQ(inventory.checkpoints.size(), 1u) << kib;
      EXPECT_EQ(inventory.leftovers.size(), 0u) << kib;
      EXPECT_EQ(verify_checkpoint(run / "latest").step, 1);
    }
    save_large(2);
    EXPECT_EQ(verify_checkpoint(run / "latest").step, 2);
  });
}

}  // namespace
}  // namespace stoa::checkpoint
