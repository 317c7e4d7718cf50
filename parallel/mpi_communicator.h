#pragma once
/// The ranks of an MPI job. Where all of them are on one node their collectives go through memory they share; else
/// through MPI messages. Both give the same bits.
///
/// On one node a rank that ends by an exception breaks the group for the others at once. Between nodes they find out
/// when their deadline passes; then a main ends the job with MpiSession::abort.
#include <memory>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mpi_session.h"

namespace stoa::parallel {

class MpiMessages;
class NodeCollectives;

/// How ranks on one node reach each other. kMessages is for comparing and testing on one machine what runs between
/// nodes.
enum class NodePath { kSharedMemory, kMessages };

class MpiCommunicator final : public Communicator {
 public:
  /// Collective over all ranks of the job. To be destroyed before its session; memory from allocate() before it.
  MpiCommunicator(MpiSession& session, double deadline_s, NodePath node_path = NodePath::kSharedMemory);
  ~MpiCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  /// Whether collectives go through shared memory.
  bool shares_memory() const { return node_ != nullptr; }

  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what) override;

 private:
  void do_barrier() override;
  void do_all_reduce(std::span<float> values, ReduceOp op) override;
  void do_all_reduce(std::span<double> values, ReduceOp op) override;
  void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) override;
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void do_broadcast(std::span<std::byte> bytes, int root) override;
  void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) override;
  void do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) override;
  void do_send(std::span<const std::byte> bytes, int to) override;
  void do_receive(std::span<std::byte> bytes, int from) override;
  std::unique_ptr<Communicator> do_split(std::span<const std::int64_t> colours, std::string_view name) override;

  void join_node();

  template <typename T>
  void reduce(std::span<T> values, ReduceOp op);

  std::unique_ptr<MpiMessages> messages_;
  std::unique_ptr<NodeCollectives> node_;
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

}  // namespace stoa::parallel
