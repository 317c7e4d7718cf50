/// A disk that fills, a read-only file system, a process that dies, two attempts alive at once. Each runs in a child
/// process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <random>

#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kSkipped = 77;

pid_t start_child(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      code = body();
    } catch (const std::exception& failure) {
      std::fprintf(stderr, "child: %s\n", failure.what());
    }
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : code);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

int exit_code_of(const std::function<int()>& body) {
  const int status = wait_for(start_child(body));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A file system of its own at `path`, seen by this process alone.
bool mount_small_disk(const fs::path& path, const char* options) {
  const uid_t user = ::geteuid();
  if (::unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
  ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  return ::mount("none", path.c_str(), "tmpfs", 0, options) == 0;
}

class CheckpointDeath : public ::testing::Test {
 protected:
  CheckpointStore store(const std::string& attempt = "1") { return {directory_.path(), attempt, log_}; }

  /// The error that each of two ranks gets; rank 1's pieces take 4 MiB, rank 0's a few hundred bytes.
  std::vector<std::string> save_on_two(std::int64_t step) {
    std::vector<std::string> errors(2);
    parallel::run_thread_ranks(2, 60, [&](parallel::Communicator& group) {
      SmallModel model(0, 1, Cut::kFirstDim, tensors(group.rank()));
      model.fill(step);
      try {
        store().save({step, Json::object()}, model.to_save(), group, {9});
      } catch (const StorageError& failure) {
        errors[static_cast<std::size_t>(group.rank())] = failure.what();
      }
    });
    return errors;
  }

  static std::vector<GlobalTensor> tensors(int rank) {
    if (rank == 0) return {{"small", DType::kFloat32, {65}}};
    return {{"large", DType::kFloat32, {1033, 1031}}};
  }

  void expect_only(std::int64_t step) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) names.push_back(entry.path().filename());
    EXPECT_THAT(names, ::testing::UnorderedElementsAre(fmt::format("step-{:08}", step), "latest"));
    EXPECT_EQ(verify_checkpoint(directory_.path() / "latest").step, step);
  }

  TemporaryFolder directory_;
  Log log_{stderr, "test", LogLevel::kError};
  parallel::OneRank one_;
};

/// Leaves `free_bytes` of the disk that holds `file`.
void fill_disk(const fs::path& file, std::uintmax_t free_bytes) {
  const std::uintmax_t bytes = fs::space(file.parent_path()).available - free_bytes;
  std::ofstream(file) << std::string(bytes, 'x');
}

TEST_F(CheckpointDeath, AFullDiskLeavesTheLastGoodOneAndNothingElse) {
  const int code = exit_code_of([&] {
    if (!mount_small_disk(directory_.path(), "size=16m")) return kSkipped;
    EXPECT_THAT(save_on_two(1), ::testing::Each(""));
    // Room for nothing, for a folder, for HDF5's structures, for a part of the data, for all but the last kilobytes.
    for (const std::uintmax_t kib : {0, 4, 8, 12, 20, 32, 2000, 4170, 4180}) {
      fill_disk(directory_.path() / "filler", kib * 1024);
      const std::vector<std::string> errors = save_on_two(2);
      EXPECT_THAT(errors[0], AllOf(HasSubstr("rank "), HasSubstr("step-00000002"), HasSubstr("No space left"))) << kib;
      EXPECT_EQ(errors[1], errors[0]);
      fs::remove(directory_.path() / "filler");
      expect_only(1);
    }
    EXPECT_THAT(save_on_two(2), ::testing::Each(""));
    return 0;
  });
  if (code == kSkipped) GTEST_SKIP() << "mounting is not permitted here";
  EXPECT_EQ(code, 0);
}

TEST_F(CheckpointDeath, AReadOnlyFileSystemIsNamedAndStillLoads) {
  const int code = exit_code_of([&] {
    if (!mount_small_disk(directory_.path(), "size=9m")) return kSkipped;
    EXPECT_THAT(save_on_two(1), ::testing::Each(""));
    if (::mount("none", directory_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return kSkipped;
    EXPECT_THAT(save_on_two(2), ::testing::Each(HasSubstr("Read-only file system")));
    expect_only(1);
    return 0;
  });
  if (code == kSkipped) GTEST_SKIP() << "mounting is not permitted here";
  EXPECT_EQ(code, 0);
}

TEST_F(CheckpointDeath, AFileSizeLimitFailsTheSaveAndALaterSaveWorks) {
  const int code = exit_code_of([&] {
    EXPECT_THAT(save_on_two(1), ::testing::Each(""));
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{1 << 20, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const std::vector<std::string> errors = save_on_two(2);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THAT(errors[0],
                AllOf(HasSubstr("rank 1"), HasSubstr("shard-00001-of-00002.h5"), HasSubstr("File too large")));
    EXPECT_EQ(errors[1], errors[0]);
    expect_only(1);
    EXPECT_THAT(save_on_two(2), ::testing::Each(""));
    EXPECT_EQ(verify_checkpoint(directory_.path() / "latest").step, 2);
    return 0;
  });
  EXPECT_EQ(code, 0);
}

/// SIGKILL from the kernel's own timer: at any instruction, with nothing run afterwards.
void die_after(std::int64_t microseconds) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  itimerspec when{};
  when.it_value.tv_nsec = microseconds * 1000;
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || ::timer_settime(timer, 0, &when, nullptr) != 0)
    throw std::runtime_error("no timer");
}

TEST_F(CheckpointDeath, AKillAtAnyMomentLeavesAWholeCheckpointWithTheValuesOfItsStep) {
  std::mt19937 random(20260733);
  std::int64_t resumed = 0;
  for (int kill = 0; kill < 20; ++kill) {
    const std::int64_t microseconds = std::uniform_int_distribution<std::int64_t>(1, 60'000)(random);
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = start_child([&] {
      die_after(microseconds);
      SmallModel model(0, 1, Cut::kFirstDim);
      for (std::int64_t step = resumed + 1;; ++step) {
        model.fill(step);
        store(fmt::format("{}", kill)).save({step, Json{{"step", step}}}, model.to_save(), one_, {2});
        if (::write(told[1], &step, sizeof step) != sizeof step) return 1;
      }
    });
    ::close(told[1]);
    std::int64_t published = resumed;
    while (::read(told[0], &published, sizeof published) == sizeof published) {
    }
    ::close(told[0]);
    ASSERT_EQ(WTERMSIG(wait_for(child)), SIGKILL);
    SmallModel model(0, 1, Cut::kLastDim);
    if (const auto state = store().load_newest(model.to_load(), one_)) {
      EXPECT_EQ(model.difference(state->step), "");
      EXPECT_EQ(state->state.at("step"), state->step);
      EXPECT_GE(state->step, published);
      resumed = state->step;
    } else {
      EXPECT_EQ(published, 0);
    }
  }
  EXPECT_GT(resumed, 0);
  SmallModel model(0, 1, Cut::kFirstDim);
  model.fill(resumed + 1);
  store("last").save({resumed + 1, Json{{"step", resumed + 1}}}, model.to_save(), one_, {1});
  expect_only(resumed + 1);
}

TEST_F(CheckpointDeath, OfTwoAttemptsThatPublishOneStepAtOnceExactlyOneWins) {
  for (std::int64_t step = 1; step <= 10; ++step) {
    const auto racer = [&](const std::string& attempt) {
      return start_child([this, step, attempt] {
        SmallModel model(0, 1, Cut::kFirstDim);
        model.fill(step);
        try {
          store(attempt).save({step, Json::object()}, model.to_save(), one_, {9});
          return 0;
        } catch (const StorageError&) {
          return exit_code(ErrorKind::kStorage);
        }
      });
    };
    const pid_t a = racer("a"), b = racer("b");
    const int code_a = WEXITSTATUS(wait_for(a)), code_b = WEXITSTATUS(wait_for(b));
    EXPECT_THAT((std::vector{code_a, code_b}), ::testing::UnorderedElementsAre(0, exit_code(ErrorKind::kStorage)));
    EXPECT_EQ(verify_checkpoint(directory_.path() / fmt::format("step-{:08}", step)).attempt, code_a == 0 ? "a" : "b");
  }
}

}  // namespace
}  // namespace stoa::checkpoint
