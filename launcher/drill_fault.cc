#include "stoa/launcher/drill_fault.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/cluster/run_metrics.h"

namespace stoa::launcher {
namespace {

/// The parent and the name of a process; parent 0 where it is gone.
struct ProcessEntry {
  pid_t parent = 0;
  std::string name;
};
ProcessEntry read_process(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::string text;
  std::getline(file, text);
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 4 > text.size()) return {};
  ProcessEntry entry{.name = text.substr(open + 1, close - open - 1)};
  std::from_chars(text.data() + close + 4, text.data() + text.size(), entry.parent);
  return entry;
}

/// Ranks below this process, in the order of their numbers.
std::vector<pid_t> own_ranks() {
  std::map<pid_t, ProcessEntry> all;
  for (const auto& folder : std::filesystem::directory_iterator("/proc")) {
    const std::string name = folder.path().filename().string();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec == std::errc()) all[pid] = read_process(folder);
  }
  const auto is_own = [&](pid_t pid) {
    for (int depth = 0; pid > 1 && depth < 16; ++depth) {
      if (pid == ::getpid()) return true;
      pid = all.contains(pid) ? all.at(pid).parent : 0;
    }
    return false;
  };
  std::vector<pid_t> ranks;
  for (const auto& [pid, entry] : all)
    if (entry.name == "stoa-train" && is_own(pid)) ranks.push_back(pid);
  return ranks;
}

}  // namespace

DrillTrigger::DrillTrigger(const Drill& drill, std::filesystem::path metrics_file)
    : drill_(drill), metrics_file_(std::move(metrics_file)), thread_([this] { watch(); }) {}

DrillTrigger::~DrillTrigger() {
  ending_ = true;
  thread_.join();
}

void DrillTrigger::watch() {
  while (!ending_) {
    try {
      const auto metrics = cluster::read_metrics(metrics_file_);
      if (!metrics.steps.empty() && metrics.steps.back().step >= drill_.at_step) return strike();
    } catch (const Error&) {  // a line that is being written
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void DrillTrigger::strike() const {
  if (drill_.fault == DrillFault::kPreempt) ::kill(::getpid(), SIGTERM);
  if (drill_.fault == DrillFault::kTimeout) ::kill(::getpid(), SIGUSR2);
  if (drill_.fault != DrillFault::kNodeLoss) return;
  const std::vector<pid_t> ranks = own_ranks();
  for (std::size_t i = ranks.size() / 2; i < ranks.size(); ++i) ::kill(ranks[i], SIGKILL);
}

}  // namespace stoa::launcher
