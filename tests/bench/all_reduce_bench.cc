/// Why: gradients are all-reduced once a step, and MPI's own MPI_Allreduce reaches a fraction of what a node's memory
/// gives. This shows what the shared-memory path is worth on a machine, and what the fixed order of additions costs
/// between nodes.
///
///   mpirun --bind-to none -np 2 all_reduce_bench
///
/// Bus bandwidth is 2 (n - 1) / n * bytes / time, by which rings, trees and shared memory compare (as nccl-tests define
/// it). Each figure is the median over repetitions of the slowest rank's time.
#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string_view>
#include <vector>

#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/parallel/mpi_communicator.h"

namespace stoa::parallel {
namespace {

constexpr double kDeadline_s = 60;

double median_s(Communicator& group, int repetitions, const std::function<void()>& call) {
  std::vector<double> times(static_cast<std::size_t>(repetitions));
  for (int warm_up = 0; warm_up < 3; ++warm_up) call();
  for (double& time_s : times) {
    group.barrier("start");
    const auto began = std::chrono::steady_clock::now();
    call();
    time_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  group.all_reduce(std::span(times), ReduceOp::kMax, "times");
  std::nth_element(times.begin(), times.begin() + repetitions / 2, times.end());
  return times[static_cast<std::size_t>(repetitions / 2)];
}

struct Ways {
  MpiCommunicator& shared;
  MpiCommunicator& messages;
};

void measure(const Ways& ways, std::size_t size_bytes) {
  const std::size_t n = size_bytes / sizeof(float);
  const int repetitions = static_cast<int>(std::clamp<std::size_t>((std::size_t{1} << 30) / size_bytes, 11, 1001));
  const auto memory = ways.shared.allocate(size_bytes, "gradients");
  const std::span in_shared(reinterpret_cast<float*>(memory->bytes().data()), n);
  std::vector<float> ordinary(n);
  std::vector<float> result(n);
  const auto report = [&](std::string_view way, const std::function<void()>& call) {
    const double time_s = median_s(ways.shared, repetitions, call);
    const double ranks = ways.shared.size();
    if (ways.shared.rank() == 0)
      fmt::print("{:>9}  {:<34}{:>12.1f} us{:>8.2f} GB/s\n", format_bytes(static_cast<double>(size_bytes)), way,
                 time_s * 1e6, 2 * (ranks - 1) / ranks * static_cast<double>(size_bytes) / time_s / 1e9);
  };
  report("shared memory, in place", [&] { ways.shared.all_reduce(in_shared, ReduceOp::kSum, "in place"); });
  report("shared memory, from other memory",
         [&] { ways.shared.all_reduce(std::span(ordinary), ReduceOp::kSum, "staged"); });
  report("messages", [&] { ways.messages.all_reduce(std::span(ordinary), ReduceOp::kSum, "messages"); });
  report("MPI_Allreduce", [&] {
    MPI_Allreduce(ordinary.data(), result.data(), static_cast<int>(n), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  });
}

}  // namespace
}  // namespace stoa::parallel

int main() {
  using namespace stoa::parallel;
  MpiSession session;
  MpiCommunicator shared(session, kDeadline_s);
  MpiCommunicator messages(session, kDeadline_s, NodePath::kMessages);
  stoa::stay_on_processors(
      stoa::share_of_processors(stoa::allowed_processors(), shared.local_size(), shared.local_rank()));
  const Ways ways{.shared = shared, .messages = messages};
  if (shared.rank() == 0)
    fmt::print("{} ranks, {}\n", shared.size(), shared.shares_memory() ? "one node" : "several nodes");
  constexpr std::size_t kKiB = 1024;
  for (const std::size_t size : {kKiB, 64 * kKiB, 4096 * kKiB, 65536 * kKiB}) measure(ways, size);
}
