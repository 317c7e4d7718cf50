/// The conformance suite on one rank, on thread ranks, and on the node collectives that MPI ranks use, between threads.
#include <fmt/format.h>

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

class NodeRank final : public Communicator {
 public:
  NodeRank(NodeMemory memory, int rank, int ranks, double deadline_s)
      : Communicator(deadline_s), node_(std::move(memory), rank, ranks), rank_(rank), ranks_(ranks) {}

  int rank() const override { return rank_; }
  int size() const override { return ranks_; }
  int local_rank() const override { return rank_; }
  int local_size() const override { return ranks_; }

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

  NodeCollectives node_;
  int rank_;
  int ranks_;
};

// Each thread maps the memory for itself, as a process does.
GroupKind node_ranks(int ranks) {
  return {
      .name = fmt::format("NodeRanks{}", ranks), .ranks = ranks, .run = [=](double deadline_s, const RankBody& body) {
        const NodeMemory for_side = NodeMemory::create(NodeCollectives::bytes_needed(ranks));
        const NodeMemory for_group = NodeMemory::create(NodeCollectives::bytes_needed(ranks));
        run_thread_ranks(ranks, 60, [&](Communicator& thread) {
          NodeRank side(NodeMemory::attach(for_side.name()).value(), thread.rank(), ranks, 60);
          NodeRank group(NodeMemory::attach(for_group.name()).value(), thread.rank(), ranks, deadline_s);
          body(group, side);
        });
      }};
}

INSTANTIATE_TEST_SUITE_P(Unit, CommunicatorConformance,
                         testing::Values(one_rank(), thread_ranks(1), thread_ranks(2), thread_ranks(3), thread_ranks(4),
                                         thread_ranks(5), node_ranks(1), node_ranks(2), node_ranks(3), node_ranks(5)),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace stoa::parallel
