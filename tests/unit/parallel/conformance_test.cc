/// The conformance suite on one rank, on a dry run, on thread ranks, and on the node collectives that MPI ranks use,
/// between threads.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "stoa/base/error.h"
#include "stoa/parallel/dry_run.h"
#include "stoa/parallel/node_collectives.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/parallel/communicator_conformance.h"

namespace stoa::parallel {
namespace {

GroupKind one_rank() {
  return {.name = "OneRank", .ranks = 1, .run = [](double, const RankBody& body) {
            OneRank group;
            OneRank side;
            body(group, side);
          }};
}

// A rank that fails breaks the side group too: nobody waits there for it.
GroupKind thread_ranks(int ranks) {
  return {
      .name = fmt::format("ThreadRanks{}", ranks), .ranks = ranks, .run = [=](double deadline_s, const RankBody& body) {
        ThreadRanks sides(ranks, 60);
        run_thread_ranks(ranks, deadline_s, [&](Communicator& group) {
          try {
            body(group, sides.communicator(group.rank()));
          } catch (...) {
            sides.break_group("a rank failed");
            throw;
          }
        });
      }};
}

std::vector<int> numbered(int ranks) {
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  return members;
}

class NodeRank final : public Communicator {
 public:
  NodeRank(NodeMemory memory, std::string_view name, const std::vector<int>& members, int rank, double deadline_s)
      : Communicator(deadline_s, name, members), node_(std::move(memory), members, rank) {}

  int rank() const override { return node_.rank(); }
  int size() const override { return node_.ranks(); }
  int local_rank() const override { return rank(); }
  int local_size() const override { return size(); }
  void interrupt(std::string_view reason) override { node_.break_group(reason); }

  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what) override {
    std::unique_ptr<CommunicatorMemory> memory;
    run_call("allocate", what, bytes, [&] { memory = node_.allocate(bytes, what, call_deadline()); });
    return memory;
  }

 private:
  void do_barrier() override { node_.barrier(call_deadline()); }
  void do_all_reduce(std::span<float> values, ReduceOp op) override { node_.all_reduce(values, op, call_deadline()); }
  void do_all_reduce(std::span<double> values, ReduceOp op) override { node_.all_reduce(values, op, call_deadline()); }
  void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) override {
    node_.all_reduce(values, op, call_deadline());
  }
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    node_.all_gather(mine, all, call_deadline());
  }
  void do_broadcast(std::span<std::byte> bytes, int root) override { node_.broadcast(bytes, root, call_deadline()); }
  void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) override {
    node_.reduce_scatter(terms, parts, mine, call_deadline());
  }
  void do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) override {
    node_.all_gather_parts(all, parts, call_deadline());
  }
  void do_send(std::span<const std::byte> bytes, int to) override { node_.send(bytes, to, call_deadline()); }
  void do_receive(std::span<std::byte> bytes, int from) override { node_.receive(bytes, from, call_deadline()); }
  void on_failure(std::string_view reason) override { node_.break_group(reason); }

  // The first rank of a colour makes the memory, and keeps its name until all have attached.
  std::unique_ptr<Communicator> do_split(std::span<const std::int64_t> colours, std::string_view name) override {
    std::vector<int> ranks, jobs;
    for (int other = 0; other < size(); ++other)
      if (colours[std::size_t(other)] == colours[std::size_t(rank())]) {
        ranks.push_back(other);
        jobs.push_back(members()[std::size_t(other)]);
      }
    NodeMemory made = NodeMemory::create(NodeCollectives::bytes_needed(static_cast<int>(ranks.size())));
    const NodeMemoryName mine = made.name();
    std::vector<NodeMemoryName> names(members().size());
    node_.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(names)), call_deadline());
    std::optional<NodeMemory> memory = NodeMemory::attach(names[std::size_t(ranks.front())]);
    node_.barrier(call_deadline());
    const auto place = std::find(ranks.begin(), ranks.end(), rank()) - ranks.begin();
    return std::make_unique<NodeRank>(std::move(memory.value()), name, jobs, static_cast<int>(place), deadline_s());
  }

  NodeCollectives node_;
};

// Each thread maps the memory for itself, as a process does.
GroupKind node_ranks(int ranks) {
  return {
      .name = fmt::format("NodeRanks{}", ranks), .ranks = ranks, .run = [=](double deadline_s, const RankBody& body) {
        const NodeMemory for_side = NodeMemory::create(NodeCollectives::bytes_needed(ranks));
        const NodeMemory for_group = NodeMemory::create(NodeCollectives::bytes_needed(ranks));
        run_thread_ranks(ranks, 60, [&](Communicator& thread) {
          const std::vector<int> members = numbered(ranks);
          NodeRank side(NodeMemory::attach(for_side.name()).value(), "job", members, thread.rank(), 60);
          NodeRank group(NodeMemory::attach(for_group.name()).value(), "job", members, thread.rank(), deadline_s);
          body(group, side);
        });
      }};
}

// The smallest mesh with every axis: too many ranks here for the whole suite.
TEST(ThreadRanks, OfEightFormTheGroupsOfAMeshOfTwoByTwoByTwo) {
  run_thread_ranks(8, 60, [](Communicator& job) { expect_mesh(job, {.data = 2, .pipeline = 2, .tensor = 2}); });
}

// One rank of a job of five; the others do not run.
GroupKind dry_run() {
  const auto run = [](double, const RankBody& body) {
    constexpr int kRanks = 5;
    TrafficLog log;
    const auto colour = [](int rank, std::string_view name) { return colour_for(name, rank, kRanks); };
    DryRun group(2, kRanks, log, colour), side(2, kRanks, log, colour);
    body(group, side);
  };
  return {.name = "DryRun", .ranks = 5, .run = run, .values = Values::kOwn};
}

std::vector<GroupKind> unit_kinds() {
  return {one_rank(),    dry_run(),     thread_ranks(2), thread_ranks(3), thread_ranks(4),
          node_ranks(1), node_ranks(2), node_ranks(3),   node_ranks(5)};
}

STOA_INSTANTIATE_CONFORMANCE(Unit, unit_kinds());

// All ranks work in memory from allocate(), or none does: the sums of the others would not reach the one that does not.
TEST(NodeRanks, WithDifferentKindsOfMemoryAreToldInsteadOfWaiting) {
  node_ranks(3).run(60, [](Communicator& group, Communicator& side) {
    const auto memory = group.allocate(4097 * sizeof(float), "gradients");
    std::vector<float> ordinary(4097);
    const std::span<float> shared(reinterpret_cast<float*>(memory->bytes().data()), ordinary.size());
    EXPECT_THROW(group.all_reduce(group.rank() == 1 ? std::span(ordinary) : shared, ReduceOp::kSum, "gradients"),
                 CommError);
    side.barrier("end");
  });
}

TEST(NodeRanks, AtDifferentPlacesOfTheirMemoryAreToldInsteadOfAddingThem) {
  node_ranks(2).run(60, [](Communicator& group, Communicator& side) {
    const auto memory = group.allocate(4099 * sizeof(float), "gradients");
    const std::span<float> shared(reinterpret_cast<float*>(memory->bytes().data()), 4099);
    const std::vector<std::size_t> parts = {2048, 2049};
    std::vector<float> mine(parts[static_cast<std::size_t>(group.rank())]);
    EXPECT_THROW(
        group.reduce_scatter(shared.subspan(static_cast<std::size_t>(group.rank()), 4097), parts, mine, "part"),
        CommError);
    side.barrier("end");
  });
}

// Rank 0 has given the call up: nobody adds to its gradients any more.
TEST(NodeRanks, ThatComeAfterTheDeadlineOfAnotherTouchNoMemory) {
  node_ranks(2).run(0.5, [](Communicator& group, Communicator& side) {
    const auto gradients = group.allocate(4097 * sizeof(float), "gradients");
    const std::span<float> values(reinterpret_cast<float*>(gradients->bytes().data()), 4097);
    std::fill(values.begin(), values.end(), 1.0f);
    const auto reduces = [&] { group.all_reduce(values, ReduceOp::kSum, "gradients"); };
    if (group.rank() == 0) {
      EXPECT_THROW(reduces(), CommError);
    }
    side.barrier("rank 0 has given up");
    if (group.rank() == 1) {
      EXPECT_THROW(reduces(), CommError);
    }
    side.barrier("rank 1 came");
    EXPECT_EQ(std::count(values.begin(), values.end(), 1.0f), std::ssize(values));
  });
}

}  // namespace
}  // namespace stoa::parallel
