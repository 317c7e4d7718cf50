#include "stoa/launcher/run_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::launcher {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

bool may_change(std::string_view key) {
  constexpr std::string_view kFree[] = {"run_directory", "training.steps", "training.log_every", "training.recompute",
                                        "parallel.",     "checkpoint.",    "evaluation."};
  if (key.starts_with("cluster.")) return key != "cluster.machine";
  return std::any_of(std::begin(kFree), std::end(kFree),
                     [&](std::string_view free) { return free.ends_with('.') ? key.starts_with(free) : key == free; });
}

bool is_alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

}  // namespace

RunLock::RunLock(const std::filesystem::path& file) : fd_(open_file(file, O_RDWR | O_CREAT)) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw StorageError("{}: flock failed: {}", file.string(), errno_message(errno));
    const pid_t holder = std::atoi(read_text_file(file).c_str());
    if (is_alive(holder) || std::chrono::steady_clock::now() > deadline)
      throw ResourceError("{}: this run is at work already, started by process {}", file.string(), holder);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  sign(file);
}

std::optional<RunLock> RunLock::take_if_free(const std::filesystem::path& file) {
  FileDescriptor fd = open_file(file, O_RDWR | O_CREAT);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  RunLock lock(std::move(fd));
  lock.sign(file);
  return lock;
}

void RunLock::sign(const std::filesystem::path& file) const {
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd_.get(), 0) != 0)
    throw StorageError("{}: truncate failed: {}", file.string(), errno_message(errno));
  write_all(fd_.get(), std::as_bytes(std::span(pid)), file);
}

void RunLock::let_children_hold() { ::fcntl(fd_.get(), F_SETFD, 0); }

std::optional<Outcome> read_outcome(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const std::string place = file.string();
  const Json json = parse_json(read_text_file(file), place);
  const int version = json_field<int>(json, "version", place);
  if (version != 1) throw DataError("{}: version {}, this Stoa reads 1", place, version);
  Outcome outcome{.attempt = json_field<std::string>(json, "attempt", place),
                  .step = json_field<std::int64_t>(json, "step", place),
                  .error_kind = json_field<std::string>(json, "error_kind", place),
                  .message = json_field<std::string>(json, "message", place),
                  .energy_j = json_field<double>(json, "energy_j", place),
                  .time = json_field<double>(json, "time", place)};
  const auto kind = json_field<std::string>(json, "kind", place);
  if (kind == "finished")
    outcome.kind = Outcome::Kind::kFinished;
  else if (kind == "saved")
    outcome.kind = Outcome::Kind::kSaved;
  else if (kind != "failed")
    throw DataError("{}: kind '{}' is none of finished, saved, failed", place, kind);
  return outcome;
}

void refuse_another_experiment(const RunDirectory& run, const Experiment& experiment) {
  if (!std::filesystem::exists(run.spec())) return;
  std::string changes;
  for (const Difference& difference : differences(read_experiment(run.spec()), experiment))
    if (!may_change(difference.key))
      changes += fmt::format("{}{} was {} and is {}", changes.empty() ? "" : ", ", difference.key, difference.before,
                             difference.after);
  if (!changes.empty())
    throw ConfigError("{}: this run was begun by another experiment: {}; give this one another name or run_directory",
                      run.spec().string(), changes);
}

}  // namespace stoa::launcher
