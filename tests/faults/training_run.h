#pragma once
/// A small experiment with its corpus in a folder of its own, trained by the real programs, as a user starts them.
/// Whatever a test does to them, nothing of it is left running when the folder goes.
///
/// A test program that uses it defines STOA_PROGRAM (the path of stoa, with stoa-train beside it) and STOA_CONFIGS.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/process.h"

namespace stoa::faults {

namespace fs = std::filesystem;

/// Waits for what another process does: there is no event to wait for. False where the time passed.
inline bool wait_until(const std::function<bool()>& is_so, double deadline_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(deadline_s);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Sentences with enough order in them that a model learns in a few steps.
inline std::string generated_corpus(int documents) {
  constexpr std::array kWords = {"the",      "old",    "river", "runs",   "under", "a",      "stone", "bridge",
                                 "where",    "people", "meet",  "and",    "speak", "of",     "ships", "light",
                                 "learning", "slowly", "city",  "number", "never", "always", "small", "gärten"};
  std::mt19937 random(20);
  std::string text;
  for (int document = 0; document < documents; ++document) {
    for (int word = 0; word < 80; ++word)
      text += std::string(kWords[random() % kWords.size()]) + (word % 9 == 8 ? ". " : " ");
    text += "\n<|endoftext|>\n";
  }
  return text;
}

struct RunningProcess {
  pid_t pid = 0;
  std::string name;  ///< stoa, mpirun, stoa-train
  int rank = -1;     ///< of a stoa-train
};

/// How a command ended and what it said.
struct CommandEnd {
  ProcessEnd process;
  std::string out;
  std::string err;
};

/// The numbers of a run as bits, by step.
struct Curve {
  std::map<std::int64_t, std::array<double, 3>> steps;  ///< loss, gradient norm, parameter norm
  std::map<std::int64_t, double> evaluations;           ///< held-out loss
};

/// The last line of each kind and step counts. Lines that are not whole are passed over: a killed rank leaves some.
inline Curve read_curve(const fs::path& run_directory) {
  Curve curve;
  std::ifstream file(run_directory / "metrics.jsonl");
  for (std::string text; std::getline(file, text);) {
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object()) continue;
    const std::int64_t step = line.at("step");
    if (line.at("kind") == "step")
      curve.steps[step] = {line.at("loss"), line.at("gradient_norm"), line.at("parameter_norm")};
    if (line.at("kind") == "evaluation") curve.evaluations[step] = line.at("loss");
  }
  return curve;
}

/// "" where both have the same steps and evaluations with the same bits.
inline std::string first_difference(const Curve& a, const Curve& b) {
  if (a.steps.size() != b.steps.size() || a.evaluations.size() != b.evaluations.size())
    return fmt::format("{} steps and {} evaluations against {} and {}", a.steps.size(), a.evaluations.size(),
                       b.steps.size(), b.evaluations.size());
  constexpr std::array kNames = {"loss", "gradient norm", "parameter norm"};
  const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  for (auto left = a.steps.begin(), right = b.steps.begin(); left != a.steps.end(); ++left, ++right) {
    if (left->first != right->first) return fmt::format("step {} against step {}", left->first, right->first);
    for (std::size_t i = 0; i < kNames.size(); ++i)
      if (bits(left->second[i]) != bits(right->second[i]))
        return fmt::format("step {}: {} {} against {}", left->first, kNames[i], left->second[i], right->second[i]);
  }
  for (auto left = a.evaluations.begin(), right = b.evaluations.begin(); left != a.evaluations.end(); ++left, ++right)
    if (left->first != right->first || bits(left->second) != bits(right->second))
      return fmt::format("evaluation {}: {} against {}: {}", left->first, left->second, right->first, right->second);
  return "";
}

inline constexpr std::string_view kRankVariable = "OMPI_COMM_WORLD_RANK=";

/// The folder: corpus, experiment and its data set, and the runs of a test.
class TrainingFolder {
 public:
  TrainingFolder() {
    std::string name = (fs::temp_directory_path() / "stoa-run-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw StorageError("{}: mkdtemp failed", name);
    path_ = name;
    fs::create_directories(path_ / "mpi");
    fs::copy(fs::path(STOA_CONFIGS) / "machines", path_ / "machines");
    std::ofstream(path_ / "text.txt") << generated_corpus(200);
    std::ofstream(experiment()) << "name: small\nrun_directory: " << (path_ / "run").string()
                                << "\nmodel: {family: llama, layers: 2, width: 32, heads: 4, key_value_heads: 2, "
                                   "feed_forward_width: 65, vocabulary_size: 300, context_length: 33}\n"
                                << "data: {prefix: " << (path_ / "corpus").string()
                                << ", tokenizer: " << (path_ / "tokenizer.json").string() << ", text: ["
                                << (path_ / "text.txt").string() << "], held_out_fraction: 0.05}\n"
                                << "training: {steps: 20, global_batch: 8, micro_batch: 2, precision: fp32, "
                                   "deterministic: true}\n"
                                   "optimizer: {learning_rate: 3e-3, schedule: constant, warmup_steps: 3}\n"
                                   "parallel: {data: 2, threads_per_rank: 1, deadline_s: 20}\n"
                                   "checkpoint: {every_steps: 5}\n"
                                   "evaluation: {every_steps: 10, batches: 2}\n"
                                   "cluster: {machine: local}\n";
  }
  TrainingFolder(const TrainingFolder&) = delete;
  TrainingFolder& operator=(const TrainingFolder&) = delete;
  ~TrainingFolder() {
    wait_until([this] { return kill_all() == 0; }, 10);
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }
  fs::path experiment() const { return path_ / "experiment.yaml"; }
  fs::path run_directory(const std::string& name) const { return path_ / name; }

  /// Starts `words` through a shell command that has "$@" in it, where limits are to be set first.
  std::unique_ptr<Process> start(const std::vector<std::string>& words, const std::string& shell = "exec \"$@\"") {
    std::ofstream(path_ / "out").close();
    std::ofstream(path_ / "err").close();
    ProcessSettings settings;
    settings.argv = {"/bin/sh", "-c", "exec >>\"$STOA_TEST_FOLDER/out\" 2>>\"$STOA_TEST_FOLDER/err\"; " + shell, "sh"};
    settings.argv.insert(settings.argv.end(), words.begin(), words.end());
    settings.environment = {{"STOA_TEST_FOLDER", path_.string()},
                            {"XDG_STATE_HOME", (path_ / "state").string()},
                            // What a killed mpirun leaves behind goes with the folder.
                            {"OMPI_MCA_orte_tmpdir_base", (path_ / "mpi").string()},
                            {"OMPI_MCA_btl_vader_backing_directory", (path_ / "mpi").string()},
                            {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                            {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
    return std::make_unique<Process>(settings);
  }

  std::vector<std::string> run_words(const std::string& run, const std::vector<std::string>& overrides = {}) const {
    std::vector<std::string> words = {STOA_PROGRAM, "run", experiment().string(),
                                      "run_directory=" + run_directory(run).string()};
    words.insert(words.end(), overrides.begin(), overrides.end());
    return words;
  }

  std::unique_ptr<Process> start_run(const std::string& run, const std::vector<std::string>& overrides = {}) {
    return start(run_words(run, overrides));
  }

  /// Waits for the end; kills what does not come to one and fails the test.
  CommandEnd finish(Process& process, double deadline_s = 60) {
    if (!wait_until([&] { return process.poll().has_value(); }, deadline_s)) {
      ADD_FAILURE() << "no end after " << deadline_s << " s: " << read_text_file(path_ / "err");
      kill_all();
    }
    return {process.wait(), read_text_file(path_ / "out"), read_text_file(path_ / "err")};
  }

  CommandEnd command(const std::vector<std::string>& words, const std::string& shell = "exec \"$@\"") {
    return finish(*start(words, shell));
  }
  CommandEnd run(const std::string& name, const std::vector<std::string>& overrides = {}) {
    return command(run_words(name, overrides));
  }

  /// The curve of a run that has to finish.
  Curve curve(const std::string& name, const std::vector<std::string>& overrides = {}) {
    const CommandEnd end = run(name, overrides);
    EXPECT_EQ(end.process.exit_code, kExitFinished) << end.err;
    return read_curve(run_directory(name));
  }

  /// Every process that was started from here and lives, whoever its parent is now.
  std::vector<RunningProcess> running() const {
    const std::string mark = "STOA_TEST_FOLDER=" + path_.string();
    std::vector<RunningProcess> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid <= 0) continue;
      std::ifstream environment(entry.path() / "environ", std::ios::binary);
      RunningProcess process;
      for (std::string variable; std::getline(environment, variable, '\0');) {
        if (variable == mark) process.pid = pid;
        if (variable.starts_with(kRankVariable)) process.rank = std::atoi(variable.c_str() + kRankVariable.size());
      }
      if (process.pid == 0) continue;
      std::getline(std::ifstream(entry.path() / "comm"), process.name);
      found.push_back(process);
    }
    return found;
  }

  bool nothing_is_running(double deadline_s = 20) const {
    return wait_until([this] { return running().empty(); }, deadline_s);
  }
  /// The process of a rank; nothing where there is none (yet).
  std::optional<pid_t> process_of_rank(int rank) const {
    for (const RunningProcess& process : running())
      if (process.name == "stoa-train" && process.rank == rank) return process.pid;
    return std::nullopt;
  }
  /// How many there were.
  std::size_t kill_all() const {
    const auto processes = running();
    for (const RunningProcess& process : processes) ::kill(process.pid, SIGKILL);
    return processes.size();
  }

  /// The last step that a run has told of; 0 before the first.
  std::int64_t last_step(const std::string& run) const {
    std::ifstream file(run_directory(run) / "metrics.jsonl");
    std::int64_t step = 0;
    for (std::string text; std::getline(file, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (line.is_object()) step = line.at("step");
    }
    return step;
  }

 private:
  fs::path path_;
};

}  // namespace stoa::faults
