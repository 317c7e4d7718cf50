/// Bad luck outside of the run: daemons that are away, a wrong key, a node cut off, a disk that fills.
#include <gmock/gmock.h>

#include "stoa/tests/cluster/slurm_world.h"

namespace stoa::cluster_tests {
namespace {

using cluster::EndCause;
using cluster::RunPhase;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

const Words kLong = {"training.steps=100000", "parallel.data=2", "checkpoint.every_steps=50"};

CommandResult daemon(const std::string& host, const std::string& what, const std::string& name) {
  return run_command({STOA_SLURM_CLUSTER, "daemon", host, what, name}, 60, {{"STOA_CLUSTER_DIR", STOA_WORLD}});
}

TEST_F(SlurmWorld, ARunGoesOnWhileTheControllerIsAwayAndTheStatusSaysSo) {
  submit("alone", {"training.steps=1500", "parallel.data=2", "cluster.warning_s=60"});
  ASSERT_TRUE(reaches_step("alone", 50)) << story("alone");
  ::usleep(6'000'000);  // slurmctld saves a new job's state within five seconds; killed before, it forgets the job
  daemon("ctl", "kill", "slurmctld");
  const CommandResult status = stoa({"status", "alone"});
  EXPECT_TRUE(status.is_good());
  EXPECT_THAT(status.output, HasSubstr("Slurm cannot be asked"));
  EXPECT_THAT(status.output, HasSubstr("running, as recorded"));
  daemon("ctl", "start", "slurmctld");
  ASSERT_TRUE(reaches("alone", RunPhase::kFinished, 90)) << story("alone");
  EXPECT_EQ(state("alone").attempts.size(), 1U);
}

TEST_F(SlurmWorld, AJobIsSubmittedWhileTheAccountsAreAwayAndAccountedLater) {
  daemon("ctl", "stop", "slurmdbd");
  const std::string job = submit("uncounted", {"training.steps=50", "parallel.data=2"});
  ASSERT_TRUE(reaches("uncounted", RunPhase::kFinished, 60)) << story("uncounted");
  const CommandResult history = stoa({"history", "uncounted"});
  EXPECT_TRUE(history.is_good());
  EXPECT_THAT(history.error_output, HasSubstr("Slurm's accounts cannot be asked"));
  daemon("ctl", "start", "slurmdbd");
  EXPECT_TRUE(wait_until(
      [&] {
        return stoa({"history", "uncounted"}).output.find("job " + job + " COMPLETED") != std::string::npos;
      },
      40))
      << story("uncounted");
}

TEST_F(SlurmWorld, WithAWrongKeySubmittingFailsWithSlurmsWordsAndLeavesNoJob) {
  daemon("node4", "stop", "munged");
  as("root",
     {"sh", "-c",
      "cp /run/munge_key/munge.key /run/munge_key/right; head -c 128 /dev/urandom >/run/munge_key/munge.key"},
     "node4");
  daemon("node4", "start", "munged");
  const CommandResult refused =
      as("alice", Words{STOA_WORLD "/bin/stoa", "submit", "exp.yaml", "name=locked"}, "node4");
  as("root", {"sh", "-c", "cat /run/munge_key/right >/run/munge_key/munge.key"}, "node4");
  daemon("node4", "stop", "munged");
  daemon("node4", "start", "munged");
  EXPECT_EQ(refused.end.exit_code, 9) << refused.error_output;
  EXPECT_THAT(refused.error_output, HasSubstr("munge key"));
  EXPECT_EQ(state("locked").phase, RunPhase::kCreated);
  EXPECT_EQ(as("root", {"squeue", "--noheader"}).output, "");
}

TEST_F(SlurmWorld, ANodeThatWasCutOffCannotWriteIntoTheNewAttempt) {
  submit("cut", kLong + Words{"training.steps=6000", "checkpoint.every_steps=100"});
  ASSERT_TRUE(reaches_step("cut", 150)) << story("cut");
  const cluster::AttemptStarted first = state("cut").attempts[0].started;
  // The batch node: supervisor and rank 0 live on, see the files, and are cut from everything else.
  on_machine({STOA_SLURM_CLUSTER, "netdown", first.nodes[0]});
  ASSERT_TRUE(wait_until(
      [&] {
        ::usleep(200'000);
        const auto life = state("cut");
        return life.attempts.back().started.attempt.starts_with(first.job + ".1.") &&
               trains_in("cut", life.attempts.back().started.attempt);
      },
      120))
      << story("cut");
  on_machine({STOA_SLURM_CLUSTER, "netup", first.nodes[0]});
  ASSERT_TRUE(reaches("cut", RunPhase::kFinished, 240)) << story("cut");

  // Once the new attempt has begun no line of an old one follows, and no checkpoint of a later step is an old one's.
  const cluster::RunState life = state("cut");
  std::string newest;
  std::ifstream metrics(run("cut") / "metrics.jsonl");
  for (std::string text; std::getline(metrics, text);) {
    const std::string attempt = Json::parse(text).at("attempt");
    const bool is_old = attempt.starts_with(first.job + ".0.");
    if (!is_old) newest = attempt;
    EXPECT_TRUE(newest.empty() || !is_old) << text;
  }
  for (const auto& folder : fs::directory_iterator(run("cut") / "checkpoints")) {
    if (!fs::is_regular_file(folder.path() / "manifest.json") || folder.is_symlink()) continue;
    const Json manifest = Json::parse(read_text_file(folder.path() / "manifest.json"));
    EXPECT_FALSE(manifest.at("attempt").get<std::string>().starts_with(first.job + ".0.")) << folder.path();
  }
  EXPECT_EQ(life.attempts.back().ended->step, 6000);
}

TEST_F(SlurmWorld, AFullDiskHoldsTheRunAndLosesNothing) {
  // One file system for all hosts, as they would see one of a server's.
  const fs::path image = fs::path(STOA_WORLD) / "disk.ext4";
  const fs::path disk = folder_ / "disk";
  fs::create_directories(disk);
  ASSERT_TRUE(
      run_command(
          {"/bin/sh", "-c",
           "truncate -s 24M \"$0\" && mkfs.ext4 -q -m 0 -O ^has_journal \"$0\" && losetup -f --show \"$0\" >\"$1\"",
           image.string(), (folder_ / "loop").string()},
          30)
          .is_good());
  std::string loop = read_text_file(folder_ / "loop");
  loop.pop_back();
  for (const char* host : {"ctl", "node1", "node2", "node3", "node4"}) as("root", {"mount", loop, disk.string()}, host);
  as("root", {"chown", "alice:", disk.string()});
  submit("full", kLong + Words{"run_directory=disk/full", "cluster.program=shared", "checkpoint.keep_last=1000"});
  const bool held = wait_until(
      [&] {
        ::usleep(200'000);
        return as("root", {"cat", (disk / "full/events.jsonl").string()}).output.find("\"held\"") != std::string::npos;
      },
      90);
  const std::string events = as("root", {"cat", (disk / "full/events.jsonl").string()}).output;
  EXPECT_TRUE(held) << events;
  EXPECT_THAT(events, HasSubstr("No space left on device"));
  EXPECT_THAT(events, HasSubstr("storage error"));
  EXPECT_TRUE(stoa({"checkpoint", "verify", "disk/full"}).is_good());
  for (const char* host : {"node1", "node2", "node3", "node4", "ctl"})
    as("root", {"umount", "-l", disk.string()}, host);
  run_command({"/sbin/losetup", "-d", loop}, 10);
  fs::remove(image);
}

}  // namespace
}  // namespace stoa::cluster_tests
