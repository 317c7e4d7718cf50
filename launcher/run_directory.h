#pragma once
/// The directory of a run, as `stoa` sees it: its files, its lock, its experiment, the outcome of its last attempt.
#include <filesystem>
#include <optional>
#include <string>

#include "stoa/base/durable_file.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

struct RunDirectory {
  std::filesystem::path path;

  std::filesystem::path spec() const { return path / "spec.yaml"; }
  std::filesystem::path machines() const { return path / "machines"; }
  std::filesystem::path events() const { return path / "events.jsonl"; }
  std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
  std::filesystem::path outcome() const { return path / "outcome.json"; }
  std::filesystem::path lock() const { return path / "lock"; }
  std::filesystem::path report() const { return path / "report.html"; }
  /// Its presence asks the run to save and stop.
  std::filesystem::path switch_file() const { return path / "stop"; }
};

/// Held while a run is at work. Children that inherit the descriptor hold it on, so that a new attempt does not begin
/// before the processes of a killed one are gone.
class RunLock {
 public:
  /// ResourceError naming the process that holds it. Where that process is dead and only its children are left: waits
  /// for them, at most 20 s.
  explicit RunLock(const std::filesystem::path& file);
  /// Takes the lock where it is free; nothing where someone holds it, perhaps on another machine.
  static std::optional<RunLock> take_if_free(const std::filesystem::path& file);
  /// Lets processes started from now on inherit it.
  void let_children_hold();

 private:
  explicit RunLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  void sign(const std::filesystem::path& file) const;

  FileDescriptor fd_;
};

/// outcome.json: how an attempt says that it ended.
struct Outcome {
  enum class Kind { kFinished, kSaved, kFailed };
  Kind kind = Kind::kFailed;
  std::string attempt;
  std::int64_t step = 0;
  std::string error_kind;
  std::string message;
  double energy_j = 0;
  double time = 0;
};
/// Nothing where no attempt has ended yet; DataError where the file cannot be read.
std::optional<Outcome> read_outcome(const std::filesystem::path& file);

/// ConfigError that names the keys, where the experiment that began the run would train another model. More steps,
/// other ranks, another rhythm of checkpoints, evaluations and log lines are welcome. The machine of `experiment` is a
/// name, as in the run's spec.
void refuse_another_experiment(const RunDirectory& run, const Experiment& experiment);

}  // namespace stoa::launcher
