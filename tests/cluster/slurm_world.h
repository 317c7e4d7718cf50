#pragma once
/// The real cluster of tests/cluster/world as its users see it, and a folder of a test's own in a user's home.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "stoa/cluster/run_record.h"
#include "stoa/tests/faults/training_run.h"

namespace stoa::cluster_tests {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;
using faults::wait_until;

inline double now_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class SlurmWorld : public testing::Test {
 protected:
  SlurmWorld() : folder_(fs::path(STOA_WORLD) / "home/alice" / test_name()) {
    fs::create_directories(folder_ / "machines");
    fs::create_directories(folder_ / "tmp");
    std::ofstream(folder_ / "text.txt") << faults::generated_corpus(60);
    std::ofstream(folder_ / "exp.yaml")
        << "name: small\nmodel: {family: llama, layers: 2, width: 64, heads: 4, vocabulary_size: 300, context_length: "
           "64}\ndata: {prefix: data/corpus, tokenizer: data/tokenizer.json, text: [text.txt], held_out_fraction: "
           "0.1}\ntraining: {steps: 3000, global_batch: 16, micro_batch: 4, deterministic: true, log_every: "
           "100}\nparallel: {data: 4, threads_per_rank: 1, deadline_s: 60}\ncheckpoint: {every_steps: 100}\ncluster: "
           "{machine: site, time_limit: \"10\", warning_s: 30}\n";
    const std::string local = read_text_file(fs::path(STOA_CONFIGS) / "machines/local.yaml");
    std::ofstream(folder_ / "machines/site.yaml")
        << local.substr(0, local.find("name: local")) << "name: site"
        << local.substr(local.find("name: local") + std::string_view("name: local").size())
        << "\nslurm:\n  tasks_per_node: 1\n  memory_gib: 1\n  partition: batch\n  program: shared\n";
    give_to_alice();
    on_machine({STOA_SLURM_CLUSTER, "resume"});
    on_machine({STOA_SLURM_CLUSTER, "up"});
  }
  ~SlurmWorld() override {
    for (const char* user : {"alice", "bob", "carol"}) as("root", {"scancel", "--user", user});
    wait_until([&] { return as("root", {"squeue", "--noheader"}).output.empty(); }, 30);
    if (!HasFailure()) {
      std::error_code ignored;
      fs::remove_all(folder_, ignored);
    }
  }

  static std::string test_name() {
    return testing::UnitTest::GetInstance()->current_test_info()->name() + fmt::format("_{}", ::getpid());
  }

  static CommandResult on_machine(const Words& words, double deadline_s = 60) {
    return run_command(words, deadline_s, {{"STOA_CLUSTER_DIR", STOA_WORLD}});
  }
  /// On the login node or another host, in this test's folder.
  CommandResult as(const std::string& user, const Words& words, const std::string& host = "ctl") const {
    return on_machine(Words{STOA_SLURM_CLUSTER, "exec", "-u", user, "-n", host, "-d", folder_.string(), "--"} + words);
  }
  CommandResult stoa(const Words& words) const { return as("alice", Words{STOA_WORLD "/bin/stoa"} + words); }

  /// Submits exp.yaml as run NAME; the number of its job.
  std::string submit(const std::string& name, const Words& overrides = {}) const {
    const CommandResult result = stoa(Words{"submit", "exp.yaml", "name=" + name} + overrides);
    EXPECT_TRUE(result.is_good()) << result.output << result.error_output;
    return result.output.substr(0, result.output.find('\n'));
  }

  fs::path run(const std::string& name) const { return folder_ / "runs" / name; }
  cluster::RunState state(const std::string& name) const { return cluster::read_run_state(run(name) / "events.jsonl"); }
  std::int64_t last_step(const std::string& name) const {
    const auto curve = faults::read_curve(run(name));
    return curve.steps.empty() ? 0 : curve.steps.rbegin()->first;
  }
  bool reaches_step(const std::string& name, std::int64_t step, double deadline_s = 60) const {
    return wait_until([&] { return slowly([&] { return last_step(name) >= step; }); }, deadline_s);
  }
  bool reaches(const std::string& name, cluster::RunPhase phase, double deadline_s = 60) const {
    return wait_until([&] { return slowly([&] { return state(name).phase == phase; }); }, deadline_s);
  }
  bool has_attempts(const std::string& name, std::size_t count, double deadline_s = 60) const {
    return wait_until([&] { return slowly([&] { return state(name).attempts.size() >= count; }); }, deadline_s);
  }
  /// Trains in its last attempt: a step of it is in the metrics.
  bool trains_again(const std::string& name, double deadline_s) const {
    return wait_until(
        [&] { return slowly([&] { return trains_in(name, state(name).attempts.back().started.attempt); }); },
        deadline_s);
  }
  bool trains_in(const std::string& name, const std::string& attempt) const {
    std::ifstream file(run(name) / "metrics.jsonl");
    for (std::string text; std::getline(file, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (line.is_object() && line.at("kind") == "step" && line.at("attempt") == attempt) return true;
    }
    return false;
  }

  /// Sends a signal to the ranks on a host.
  void signal_ranks(const std::string& host, const std::string& signal) const {
    as("root", {"pkill", "-" + signal, "-x", "stoa-train"}, host);
  }
  std::string log(const std::string& name) const {
    std::string text;
    for (const auto& entry : fs::directory_iterator(run(name)))
      if (entry.path().extension() == ".log") text += read_text_file(entry.path());
    return text;
  }
  std::string squeue(const std::string& job, const std::string& format) const {
    std::string text =
        as("root", {"squeue", "--noheader", "--states=all", "--jobs=" + job, "--format=" + format}).output;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  /// The whole story, for a failed expectation.
  std::string story(const std::string& name) const {
    const CommandResult history = stoa({"history", run(name).string()});
    return history.output + history.error_output + log(name);
  }

  void give_to_alice() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) (void)::chown(entry.path().c_str(), 2001, 2001);
    (void)::chown(folder_.c_str(), 2001, 2001);
  }

  fs::path folder_;

 private:
  /// Looks no more than ten times a second: reading all metrics takes a while.
  template <typename Question>
  static bool slowly(const Question& question) {
    ::usleep(100'000);
    return question();
  }
};

}  // namespace stoa::cluster_tests
