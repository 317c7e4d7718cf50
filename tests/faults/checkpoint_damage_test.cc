/// What a disk, a person or a second checkpoint can do to a published one: each is noticed, named, and the older one is
/// used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/shard_reader.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kRanks = 2;

/// A log whose lines can be read back.
class RecordedLog {
 public:
  RecordedLog() : stream_(::open_memstream(&text_, &size_)), log_(stream_, "") {}
  RecordedLog(const RecordedLog&) = delete;
  RecordedLog& operator=(const RecordedLog&) = delete;
  ~RecordedLog() {
    std::fclose(stream_);
    std::free(text_);
  }
  Log& log() { return log_; }
  std::string text() {
    std::fflush(stream_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
  Log log_;
};

void flip_bit(const fs::path& path, std::int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const int byte = file.get();
  ASSERT_NE(byte, EOF) << path;
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 0x10));
}

class CheckpointDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::int64_t step : {1, 2})
      parallel::run_thread_ranks(kRanks, 60, [&](parallel::Communicator& group) {
        SmallModel model(group.rank(), kRanks, Cut::kFirstDim);
        model.fill(step);
        CheckpointStore(directory_.path(), "1", recorded_.log())
            .save({step, Json::object()}, model.to_save(), group, {9});
      });
  }

  fs::path folder(std::int64_t step) const { return directory_.path() / fmt::format("step-{:08}", step); }
  fs::path shard(std::int64_t step, int rank) const { return folder(step) / shard_file_name(rank, kRanks); }

  /// The step that three ranks load together, with its values checked.
  std::int64_t load() {
    std::int64_t loaded = -1;
    parallel::run_thread_ranks(3, 60, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), 3, Cut::kLastDim);
      const auto state = CheckpointStore(directory_.path(), "2", recorded_.log()).load_newest(model.to_load(), group);
      EXPECT_EQ(model.difference(state->step), "");
      if (group.rank() == 0) loaded = state->step;
    });
    return loaded;
  }

  TemporaryFolder directory_;
  RecordedLog recorded_;
};

TEST_F(CheckpointDamage, ABitFlippedAnywhereInTheManifestFallsBack) {
  const fs::path manifest = folder(2) / "manifest.json";
  const auto bytes = static_cast<std::int64_t>(fs::file_size(manifest));
  for (std::int64_t offset = 0; offset < bytes; offset += 37) {
    flip_bit(manifest, offset);
    EXPECT_EQ(load(), 1) << "byte " << offset;
    flip_bit(manifest, offset);
  }
  flip_bit(manifest, bytes - 1);
  EXPECT_EQ(load(), 1);
  EXPECT_THAT(recorded_.text(), HasSubstr(manifest.string()));
}

TEST_F(CheckpointDamage, ABitFlippedInAnyValueIsNamedWithItsTensorAndBytes) {
  ShardReader reader(folder(2), read_manifest(folder(2)).shards[1]);
  ASSERT_EQ(reader.pieces().size(), 4u);  // neither the scalar nor the tensor of one element is on rank 1
  for (const StoredPiece& piece : reader.pieces())
    for (const std::int64_t offset : {piece.offset, piece.offset + piece.bytes - 1}) {
      flip_bit(shard(2, 1), offset);
      EXPECT_THAT([&] { verify_checkpoint(folder(2)); },
                  ThrowsMessage<CheckpointError>(
                      AllOf(HasSubstr(shard(2, 1).string()), HasSubstr("tensor " + piece.tensor.name + ","),
                            HasSubstr(fmt::format("bytes {}..{}", piece.offset, piece.offset + piece.bytes)))));
      EXPECT_EQ(load(), 1) << piece.tensor.name;
      flip_bit(shard(2, 1), offset);
    }
  EXPECT_EQ(load(), 2);
}

TEST_F(CheckpointDamage, ABitFlippedInAPieceTableFallsBack) {
  const ShardRecord record = read_manifest(folder(2)).shards[0];
  for (const std::int64_t offset : {record.table_offset, record.table_offset + record.table_bytes - 1}) {
    flip_bit(shard(2, 0), offset);
    EXPECT_EQ(load(), 1);
    flip_bit(shard(2, 0), offset);
  }
  EXPECT_THAT(recorded_.text(), AllOf(HasSubstr(shard(2, 0).string()), HasSubstr("piece table")));
}

TEST_F(CheckpointDamage, ATruncatedShardFallsBack) {
  fs::resize_file(shard(2, 1), fs::file_size(shard(2, 1)) - 1);
  EXPECT_EQ(load(), 1);
  EXPECT_THAT(recorded_.text(), AllOf(HasSubstr(shard(2, 1).string()), HasSubstr("but the manifest says")));
}

TEST_F(CheckpointDamage, AMissingShardFallsBack) {
  fs::remove(shard(2, 1));
  EXPECT_EQ(load(), 1);
  EXPECT_THAT(recorded_.text(), AllOf(HasSubstr(shard(2, 1).string()), HasSubstr("No such file")));
}

TEST_F(CheckpointDamage, TwoShardsThatChangedPlacesFallBack) {
  fs::rename(shard(2, 0), folder(2) / "kept");
  fs::rename(shard(2, 1), shard(2, 0));
  fs::rename(folder(2) / "kept", shard(2, 1));
  EXPECT_EQ(load(), 1);
  EXPECT_THAT(recorded_.text(), HasSubstr(shard(2, 0).string()));
}

/// The soft limit of descriptors: those that are open now and so many more, until it goes.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlim_t used = 0;
    for ([[maybe_unused]] const auto& open : fs::directory_iterator("/proc/self/fd")) ++used;
    const rlimit few{used - 1 + more, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// A process that lacks descriptors must not take an older checkpoint for the newest.
TEST_F(CheckpointDamage, TooFewDescriptorsAreNamedAndNeverFallBack) {
  int loaded = 0, refused = 0;
  for (rlim_t more = 0; more < 40; ++more) {
    const FewDescriptors few(more);
    try {
      EXPECT_EQ(load(), 2);
      ++loaded;
    } catch (const Error& failure) {
      EXPECT_THAT(failure.what(), HasSubstr("Too many open files"));
      ++refused;
    }
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(CheckpointDamage, AShardOfAnotherStepFallsBack) {
  fs::rename(shard(1, 0), shard(1, 0).string() + ".kept");
  fs::copy_file(shard(1, 0).string() + ".kept", shard(1, 0));
  fs::copy_file(shard(1, 0), shard(2, 0), fs::copy_options::overwrite_existing);
  ASSERT_EQ(fs::file_size(shard(2, 0)), fs::file_size(shard(1, 0)));
  EXPECT_EQ(load(), 1);
  EXPECT_THAT(recorded_.text(), HasSubstr(shard(2, 0).string()));
}

TEST_F(CheckpointDamage, AFolderOfAnotherStepsNameFallsBack) {
  fs::copy(folder(1), folder(3));
  EXPECT_EQ(load(), 2);
  EXPECT_THAT(recorded_.text(), HasSubstr("its manifest is of step 1"));
}

TEST_F(CheckpointDamage, HDF5StructuresAreNotTrusted) {
  for (std::int64_t offset = 0; offset < 96; ++offset) flip_bit(shard(2, 0), offset);
  EXPECT_EQ(load(), 2);
}

TEST_F(CheckpointDamage, WhereNoneIsWholeEachIsNamedAndNothingIsStartedAnew) {
  fs::remove(shard(1, 1));
  fs::remove(folder(2) / "manifest.json");
  EXPECT_THAT([&] { load(); },
              ThrowsMessage<CheckpointError>(
                  AllOf(HasSubstr(shard(1, 1).string()), HasSubstr((folder(2) / "manifest.json").string()))));
}

TEST_F(CheckpointDamage, AFileOfTheSameNameInTheWorkingDirectoryIsNotRead) {
  const fs::path before = fs::current_path();
  const TemporaryFolder elsewhere;
  for (const int rank : {0, 1}) fs::copy_file(shard(2, rank), elsewhere.path() / shard_file_name(rank, kRanks));
  fs::remove(shard(2, 0));
  fs::current_path(elsewhere.path());
  const std::int64_t loaded = load();
  fs::current_path(before);
  EXPECT_EQ(loaded, 1);
}

TEST_F(CheckpointDamage, AfterAFallBackTheDamagedStepIsReplacedWhenTrainingReachesItAgain) {
  flip_bit(shard(2, 0), ShardReader(folder(2), read_manifest(folder(2)).shards[0]).pieces()[0].offset);
  ASSERT_EQ(load(), 1);
  SmallModel model(0, 1, Cut::kFirstDim);
  model.fill(2);
  parallel::OneRank one;
  CheckpointStore(directory_.path(), "2", recorded_.log()).save({2, Json::object()}, model.to_save(), one, {9});
  EXPECT_EQ(load(), 2);
  EXPECT_EQ(verify_checkpoint(folder(2)).attempt, "2");
}

}  // namespace
}  // namespace stoa::checkpoint
