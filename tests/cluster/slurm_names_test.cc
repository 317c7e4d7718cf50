/// Names and paths that mean something to a shell, to sbatch or to a terminal do no harm.
#include <gmock/gmock.h>

#include "stoa/cluster/slurm_request.h"
#include "stoa/tests/cluster/slurm_world.h"

namespace stoa::cluster_tests {
namespace {

using cluster::RunPhase;
using testing::HasSubstr;
using testing::Not;

const Words kShort = {"training.steps=30", "parallel.data=1"};

class NastyPath : public SlurmWorld, public testing::WithParamInterface<const char*> {};

/// As a value of YAML.
std::string yaml_quoted(std::string_view text) {
  std::string yaml = "\"";
  for (const char c : text)
    yaml += c == '\n' ? std::string("\\n") : c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return yaml + "\"";
}

TEST_P(NastyPath, IsARunLikeAnyOther) {
  const std::string directory = std::string("runs/") + GetParam();
  const CommandResult submitted =
      stoa(Words{"submit", "exp.yaml", "name=nasty", "run_directory=" + yaml_quoted(directory)} + kShort);
  ASSERT_TRUE(submitted.is_good()) << submitted.error_output;
  const fs::path run_path = folder_ / directory;
  ASSERT_TRUE(
      wait_until([&] { return cluster::read_run_state(run_path / "events.jsonl").phase == RunPhase::kFinished; }, 60))
      << stoa({"history", directory}).output << as("root", {"sacct", "-a", "-X"}).output;
  EXPECT_FALSE(fs::exists(folder_ / "harm"));
  EXPECT_FALSE(fs::exists(run_path / "harm"));
  const std::string job = submitted.output.substr(0, submitted.output.find('\n'));
  EXPECT_EQ(squeue(job, "%a"), "proja");
  const bool one_log = directory.find('\\') != std::string::npos;
  EXPECT_TRUE(fs::exists(run_path / (one_log ? "job-all.log" : "job-" + job + ".log")));
  EXPECT_THAT(stoa({"logs", directory}).output, HasSubstr("finished at step 30"));
}

std::string name_of_path(const testing::TestParamInfo<const char*>& each) {
  const char* names[] = {"Space", "Quotes", "Shell", "Newline", "Sbatch", "Percent", "Globs"};
  return names[each.index];
}
INSTANTIATE_TEST_SUITE_P(Paths, NastyPath,
                         testing::Values("with space", "quote'd \"twice\"", "$(touch harm) `touch harm` ; touch harm",
                                         "line\n#SBATCH --account=projb\nbreak", "#SBATCH --account=projb",
                                         "percent %j %u", "back\\slash *?[a]"),
                         name_of_path);

TEST_F(SlurmWorld, NamesThatAreNoNamesAreRefusedWithThePlace) {
  for (const char* wrong :
       {"name=a b", R"(name="a\n#SBATCH --account=projb")", "cluster.partition=$(touch harm)", "cluster.account=a b",
        R"(cluster.constraint="a\nb")", "cluster.qos=-x", R"(cluster.exclude="a'b")", "cluster.mail_user=a;b"}) {
    const CommandResult refused = stoa(Words{"submit", "exp.yaml", wrong});
    EXPECT_EQ(refused.end.exit_code, 3) << wrong << refused.error_output;
  }
  EXPECT_FALSE(fs::exists(folder_ / "harm"));
  EXPECT_EQ(as("root", {"squeue", "--noheader"}).output, "");
}

TEST_F(SlurmWorld, TheLineOfADryRunSubmitsTheSameJob) {
  const Words request =
      Words{"exp.yaml", "name=dry", "run_directory=runs/a 'dry' run", "cluster.qos=low", "cluster.memory_gib=2"} +
      kShort;
  const CommandResult dry = stoa(Words{"submit", "--dry-run"} + request);
  ASSERT_TRUE(dry.is_good()) << dry.error_output;
  EXPECT_THAT(dry.error_output, HasSubstr("to start at"));
  EXPECT_EQ(as("root", {"squeue", "--noheader"}).output, "");
  const CommandResult pasted = as("alice", {"bash", "-c", dry.output});
  ASSERT_TRUE(pasted.is_good()) << pasted.error_output;
  const std::string by_hand = pasted.output.substr(pasted.output.rfind(' ') + 1);
  const fs::path run_path = folder_ / "runs/a 'dry' run";
  ASSERT_TRUE(
      wait_until([&] { return cluster::read_run_state(run_path / "events.jsonl").phase == RunPhase::kFinished; }, 60));
  const CommandResult again = stoa(Words{"submit"} + request + Words{"training.steps=40"});
  ASSERT_TRUE(again.is_good()) << again.error_output;
  const auto facts = [&](std::string job) {
    while (!job.empty() && job.back() == '\n') job.pop_back();
    return squeue(job, "%j %u %a %q %P %D %C %m %l");
  };
  EXPECT_EQ(facts(by_hand), facts(again.output));
}

TEST_F(SlurmWorld, ARenderedScriptRunsUnderAPlainSbatch) {
  const CommandResult rendered = stoa(Words{"render", "exp.yaml", "name=rendered"} + kShort);
  ASSERT_TRUE(rendered.is_good()) << rendered.error_output;
  EXPECT_THAT(rendered.output, HasSubstr("#SBATCH --nodes=1\n"));
  std::ofstream(folder_ / "script.sh") << rendered.output;
  give_to_alice();
  ASSERT_TRUE(as("alice", {"sbatch", "script.sh"}).is_good());
  ASSERT_TRUE(reaches("rendered", RunPhase::kFinished, 60)) << story("rendered");
  const CommandResult odd = stoa(Words{"render", "exp.yaml", "name=odd", "run_directory=runs/a b"} + kShort);
  EXPECT_EQ(odd.end.exit_code, 3);
  EXPECT_THAT(odd.error_output, HasSubstr("cannot stand in a script that sbatch reads line by line"));
}

}  // namespace
}  // namespace stoa::cluster_tests
