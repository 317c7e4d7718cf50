/// Why: gradients are all-reduced, or their sums scattered, once a step, and MPI's own calls reach a fraction of what a
/// node's memory gives. This shows what the shared-memory path is worth on a machine, and what the fixed order of
/// additions costs between nodes.
///
///   mpirun --bind-to none -np 2 all_reduce_bench
///
/// Bus bandwidth is (n - 1) / n * bytes / time, twice that for an all-reduce, by which rings, trees and shared memory
/// compare (as nccl-tests define it). Each figure is the median over repetitions of the slowest rank's time; the ways
/// of one call take turns, so that other work of the machine meets all of them. The last column is the speed against
/// MPI's own call.
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

struct Way {
  std::string_view name;
  std::function<void()> call;
};

double once_s(Communicator& group, const std::function<void()>& call) {
  group.barrier("start");
  const auto began = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Of each way.
std::vector<double> medians_s(Communicator& group, int repetitions, const std::vector<Way>& ways) {
  std::vector<std::vector<double>> times(ways.size());
  for (int repetition = 0; repetition < repetitions + 1; ++repetition)
    for (std::size_t way = 0; way < ways.size(); ++way) {
      const double time_s = once_s(group, ways[way].call);
      if (repetition > 0) times[way].push_back(time_s);
    }
  std::vector<double> medians;
  for (std::vector<double>& of_way : times) {
    group.all_reduce(std::span(of_way), ReduceOp::kMax, "times");
    std::nth_element(of_way.begin(), of_way.begin() + repetitions / 2, of_way.end());
    medians.push_back(of_way[static_cast<std::size_t>(repetitions / 2)]);
  }
  return medians;
}

// The last way is MPI's own.
void report(Communicator& group, std::size_t size_bytes, double crossings, const std::vector<Way>& ways) {
  const int repetitions = static_cast<int>(std::clamp<std::size_t>((std::size_t{1} << 30) / size_bytes, 11, 1001));
  const std::vector<double> times_s = medians_s(group, repetitions, ways);
  if (group.rank() != 0) return;
  const double ranks = group.size();
  for (std::size_t way = 0; way < ways.size(); ++way)
    fmt::print("{:>9}  {:<42}{:>12.1f} us{:>8.2f} GB/s{:>8.2f} x\n", format_bytes(static_cast<double>(size_bytes)),
               ways[way].name, times_s[way] * 1e6,
               crossings * (ranks - 1) / ranks * static_cast<double>(size_bytes) / times_s[way] / 1e9,
               times_s.back() / times_s[way]);
}

void measure(MpiCommunicator& shared, MpiCommunicator& messages, std::size_t size_bytes) {
  const std::size_t n = size_bytes / sizeof(float);
  const auto memory = shared.allocate(size_bytes, "gradients");
  const std::span in_shared(reinterpret_cast<float*>(memory->bytes().data()), n);
  std::vector<float> ordinary(n);
  std::vector<float> result(n);
  report(
      shared, size_bytes, 2,
      {{"all-reduce, shared memory, in place", [&] { shared.all_reduce(in_shared, ReduceOp::kSum, "in place"); }},
       {"all-reduce, shared memory, staged", [&] { shared.all_reduce(std::span(ordinary), ReduceOp::kSum, "staged"); }},
       {"all-reduce, messages", [&] { messages.all_reduce(std::span(ordinary), ReduceOp::kSum, "messages"); }},
       {"MPI_Allreduce", [&] {
          MPI_Allreduce(ordinary.data(), result.data(), static_cast<int>(n), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        }}});
  const auto ranks = static_cast<std::size_t>(shared.size());
  const auto rank = static_cast<std::size_t>(shared.rank());
  const std::vector<std::size_t> parts(ranks, n / ranks);
  const std::vector<int> counts(ranks, static_cast<int>(n / ranks));
  const std::span terms = in_shared.first(n / ranks * ranks);
  const std::span staged = std::span(ordinary).first(terms.size());
  const auto own = [&](std::span<float> all) { return all.subspan(rank * parts[0], parts[0]); };
  report(
      shared, size_bytes, 1,
      {{"reduce-scatter, shared memory, in place",
        [&] { shared.reduce_scatter(terms, parts, own(terms), "in place"); }},
       {"reduce-scatter, shared memory, staged", [&] { shared.reduce_scatter(staged, parts, own(staged), "staged"); }},
       {"reduce-scatter, messages", [&] { messages.reduce_scatter(staged, parts, own(staged), "messages"); }},
       {"MPI_Reduce_scatter", [&] {
          MPI_Reduce_scatter(ordinary.data(), result.data(), counts.data(), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        }}});
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
  if (shared.rank() == 0)
    fmt::print("{} ranks, {}\n", shared.size(), shared.shares_memory() ? "one node" : "several nodes");
  constexpr std::size_t kKiB = 1024;
  for (const std::size_t size : {kKiB, 64 * kKiB, 4096 * kKiB, 65536 * kKiB}) measure(shared, messages, size);
}
