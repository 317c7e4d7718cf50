#include "stoa/launcher/node_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/trainer/kernels/peak.h"
#include "stoa/trainer/loop/metrics.h"

namespace stoa::launcher {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
/// The best of them counts: whatever else runs on a node now and then is no defect.
constexpr int kRounds = 4;
constexpr double kMostClock_s = 60;
constexpr double kMostDisk_s = 20;

double available_gib() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("MemAvailable:")) return std::stod(line.substr(13)) / (1 << 20);
  return 0;
}

double copy_gib_per_s(const Clock& clock) {
  // Far more than any cache holds of it.
  std::vector<char> from(96 * kMiB, 1);
  std::vector<char> to(from.size());
  double best_s = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const double begin_s = clock.monotonic_s();
    std::memcpy(to.data(), from.data(), from.size());
    best_s = std::min(best_s, clock.monotonic_s() - begin_s);
  }
  return double(from.size()) / double(1 << 30) / std::max(1e-9, best_s);
}

/// Writes, syncs and removes; what went wrong, in the system's words.
std::string write_defect(const std::filesystem::path& folder, std::size_t bytes) {
  const std::filesystem::path file = folder / fmt::format(".stoa-check-{}-{}", trainer::host_name(), ::getpid());
  std::string defect;
  try {
    const std::vector<std::byte> block(bytes);
    const FileDescriptor fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write_all(fd.get(), block, file);
    sync_file(fd.get(), file);
  } catch (const Error& failure) {
    defect = failure.what();
  }
  ::unlink(file.c_str());
  return defect;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

NodeReport parse_node(const Json& line) {
  const char* place = "preflight";
  return {.node = json_field<std::string>(line, "node", place),
          .unix_s = json_field<double>(line, "time", place),
          .available_gib = json_field<double>(line, "available_gib", place),
          .copy_gib_per_s = json_field<double>(line, "copy_gib_per_s", place),
          .gflops = json_field<double>(line, "gflops", place),
          .threads = json_field<int>(line, "threads", place),
          .disk_s = json_field<double>(line, "disk_s", place),
          .disk_defect = json_field<std::string>(line, "disk_defect", place)};
}

}  // namespace

NodeReport measure_node(const std::filesystem::path& run_directory, trainer::cpu::Queue& queue, const Clock& clock) {
  NodeReport report{.node = trainer::host_name(), .unix_s = clock.unix_s(), .threads = queue.threads()};
  report.available_gib = available_gib();
  report.copy_gib_per_s = copy_gib_per_s(clock);
  report.gflops = measure_peak_gflops(queue, trainer::PeakKind::kFp32);
  const double begin_s = clock.monotonic_s();
  report.disk_defect = write_defect(run_directory, 4 * kMiB);
  report.disk_s = clock.monotonic_s() - begin_s;
  if (report.disk_defect.empty()) report.disk_defect = write_defect("/tmp", kMiB);
  return report;
}

std::vector<LinkReport> measure_links(parallel::Communicator& nodes, const Clock& clock) {
  std::array<char, 64> name{};
  const std::string own = trainer::host_name();
  std::copy_n(own.begin(), std::min(own.size(), name.size() - 1), name.begin());
  std::vector<char> names(name.size() * std::size_t(nodes.size()));
  nodes.all_gather(std::as_bytes(std::span(name)), std::as_writable_bytes(std::span(names)), "names of nodes");
  std::vector<LinkReport> links;
  std::vector<std::byte> out(4 * kMiB);
  std::vector<std::byte> in(out.size());
  for (const int first : {0, 1}) {
    // Pairs (0, 1), (2, 3), ... and then (1, 2), (3, 4), ...
    const int place = nodes.rank() - first;
    const int peer = place < 0 ? nodes.size() : first + (place ^ 1);
    nodes.barrier("before exchanging");
    if (peer >= nodes.size()) continue;
    const double begin_s = clock.monotonic_s();
    nodes.send(out, peer, "preflight");
    nodes.receive(in, peer, "preflight");
    links.push_back(
        {own, names.data() + name.size() * std::size_t(peer), 8 / std::max(1e-9, clock.monotonic_s() - begin_s)});
  }
  return links;
}

std::string to_line(const NodeReport& report) {
  return Json({{"check", "node"},
               {"node", report.node},
               {"time", report.unix_s},
               {"available_gib", report.available_gib},
               {"copy_gib_per_s", report.copy_gib_per_s},
               {"gflops", report.gflops},
               {"threads", report.threads},
               {"disk_s", report.disk_s},
               {"disk_defect", report.disk_defect}})
      .dump();
}

std::string to_line(const LinkReport& report) {
  return Json({{"check", "link"}, {"node", report.node}, {"peer", report.peer}, {"mib_per_s", report.mib_per_s}})
      .dump();
}

NodeReports parse_reports(std::string_view output) {
  NodeReports reports;
  std::istringstream lines{std::string(output)};
  for (std::string text; std::getline(lines, text);) {
    if (!text.starts_with("{\"")) continue;
    try {
      const Json line = parse_json(text, "preflight");
      const auto check = json_field<std::string>(line, "check", "preflight");
      if (check == "node")
        reports.nodes.push_back(parse_node(line));
      else if (check == "link")
        reports.links.push_back({json_field<std::string>(line, "node", "preflight"),
                                 json_field<std::string>(line, "peer", "preflight"),
                                 json_field<double>(line, "mib_per_s", "preflight")});
    } catch (const DataError&) {  // the ranks' libraries print too
    }
  }
  return reports;
}

std::vector<BadNode> judge_nodes(const std::vector<std::string>& asked, const NodeReports& reports,
                                 const cluster::MachineSettings& machine, double memory_gib, double now_unix_s) {
  std::vector<BadNode> bad;
  if (reports.nodes.empty()) return bad;  // nobody answered: it is not the nodes
  std::vector<double> gflops;
  std::vector<double> copies;
  for (const NodeReport& report : reports.nodes) {
    gflops.push_back(report.gflops / std::max(1, report.threads));
    copies.push_back(report.copy_gib_per_s);
  }
  const bool by_core = machine.rate.resource == "core";
  const double peak = by_core ? machine.peak_fp32_gflops.value : 0;
  std::map<std::string, double> best_link;
  std::vector<double> speeds;
  for (const LinkReport& link : reports.links) {
    best_link[link.node] = std::max(best_link[link.node], link.mib_per_s);
    speeds.push_back(link.mib_per_s);
  }
  for (const std::string& node : asked) {
    const auto report = std::find_if(reports.nodes.begin(), reports.nodes.end(),
                                     [&](const NodeReport& each) { return each.node == node; });
    const auto say = [&](std::string reason) { bad.push_back({node, std::move(reason)}); };
    if (report == reports.nodes.end()) {
      say("it did not answer the check before the start");
      continue;
    }
    const double each_gflops = report->gflops / std::max(1, report->threads);
    const double link = best_link.contains(node) ? best_link[node] : 0;
    if (!report->disk_defect.empty())
      say(report->disk_defect);
    else if (report->disk_s > kMostDisk_s)
      say(fmt::format("4 MiB took {:.0f} s to reach the run's directory, more than {:g} s", report->disk_s,
                      kMostDisk_s));
    else if (memory_gib > 0 && report->available_gib < 0.9 * memory_gib)
      say(fmt::format("{:.1f} GiB of memory are available, the job asks for {:g}", report->available_gib, memory_gib));
    else if (std::abs(report->unix_s - now_unix_s) > kMostClock_s)
      say(fmt::format("its clock is {:.0f} s off", report->unix_s - now_unix_s));
    else if (peak > 0 && each_gflops < peak / 4)
      say(fmt::format("{:.1f} GFLOP/s a thread, less than a quarter of the {:g} of {}", each_gflops, peak,
                      machine.name));
    else if (reports.nodes.size() > 2 && each_gflops < median(gflops) / 4)
      say(fmt::format("{:.1f} GFLOP/s a thread, less than a quarter of the nodes' median {:.1f}", each_gflops,
                      median(gflops)));
    else if (reports.nodes.size() > 2 && report->copy_gib_per_s < median(copies) / 4)
      say(fmt::format("memory copies {:.1f} GiB/s, less than a quarter of the nodes' median {:.1f}",
                      report->copy_gib_per_s, median(copies)));
    else if (reports.nodes.size() > 2 && link > 0 && link < median(speeds) / 5)
      say(fmt::format("{:.0f} MiB/s to its neighbours, less than a fifth of the median {:.0f}", link, median(speeds)));
  }
  return bad;
}

}  // namespace stoa::launcher
