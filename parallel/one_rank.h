#pragma once
/// A group of one: the readable specification of every collective. Nothing waits, so no deadline can pass.
#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class OneRank final : public Communicator {
 public:
  OneRank() : OneRank("job", 0) {}
  /// What a split leaves of a larger group.
  OneRank(std::string_view name, int member) : Communicator(0, name, {member}) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }

 private:
  void do_barrier() override {}
  void do_all_reduce(std::span<float>, ReduceOp) override {}
  void do_all_reduce(std::span<double>, ReduceOp) override {}
  void do_all_reduce(std::span<std::int64_t>, ReduceOp) override {}
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void do_broadcast(std::span<std::byte>, int) override {}
  void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t>, std::span<float> mine) override;
  void do_all_gather_parts(std::span<std::byte>, std::span<const std::size_t>) override {}
  void do_send(std::span<const std::byte>, int) override {}
  void do_receive(std::span<std::byte>, int) override {}
  std::unique_ptr<Communicator> do_split(std::span<const std::int64_t>, std::string_view name) override;
};

}  // namespace stoa::parallel
