#pragma once
/// The check of a job's nodes before the ranks start: what each measures of itself in a second or two, and which are
/// too bad to train on. `stoa-train SPEC --preflight node` runs on each, then `--preflight links` over MPI on all of
/// them; they print what they find, a line of JSON each.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/machine.h"
#include "stoa/parallel/communicator.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::launcher {

struct NodeReport {
  std::string node;
  double unix_s = 0;          ///< its clock
  double available_gib = 0;   ///< of memory
  double copy_gib_per_s = 0;  ///< memory to memory, one thread
  double gflops = 0;          ///< fp32, all threads that a rank may use
  int threads = 0;
  double disk_s = 0;        ///< 4 MiB into the run's directory, written, synced and removed
  std::string disk_defect;  ///< of the run's directory or /tmp; empty: none
};

/// Exchange of 4 MiB with a neighbour, both ways.
struct LinkReport {
  std::string node;
  std::string peer;
  double mib_per_s = 0;
};

/// Measures this node, in about a second.
NodeReport measure_node(const std::filesystem::path& run_directory, trainer::cpu::Queue& queue, const Clock& clock);
/// Collective over one rank a node, after measure_node: each with the rank before and the rank after it.
std::vector<LinkReport> measure_links(parallel::Communicator& nodes, const Clock& clock);

std::string to_line(const NodeReport& report);
std::string to_line(const LinkReport& report);

/// All that the nodes have printed. Lines that are none of these are passed over.
struct NodeReports {
  std::vector<NodeReport> nodes;
  std::vector<LinkReport> links;
  bool has(const std::string& node) const {
    return std::any_of(nodes.begin(), nodes.end(), [&](const NodeReport& each) { return each.node == node; });
  }
};
NodeReports parse_reports(std::string_view output);

struct BadNode {
  std::string node;
  std::string reason;  ///< with the value and what was expected
};
/// Which of `asked` are not fit. A node is bad that gave no report while another did, has less memory than
/// `memory_gib` (0: not asked for), cannot write where it must, has a clock a minute off, or is slower than a quarter
/// of the machine's peak or of the median of the nodes; or whose links are all slower than a fifth of the median. Pure;
/// `now_unix_s` is when the reports came.
std::vector<BadNode> judge_nodes(const std::vector<std::string>& asked, const NodeReports& reports,
                                 const cluster::MachineSettings& machine, double memory_gib, double now_unix_s);

}  // namespace stoa::launcher
