#pragma once
/// A group of one: the readable specification of every collective. Nothing waits, so no deadline can pass.
#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class OneRank final : public Communicator {
 public:
  OneRank() : Communicator(0) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }

 private:
  void do_barrier() override {}
  void do_all_reduce(std::span<float>, ReduceOp) override {}
  void do_all_reduce(std::span<double>, ReduceOp) override {}
  void do_all_reduce(std::span<std::int64_t>, ReduceOp) override {}
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void do_broadcast(std::span<std::byte>, int) override {}
};

}  // namespace stoa::parallel
