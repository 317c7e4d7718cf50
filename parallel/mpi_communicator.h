#pragma once
/// The ranks of an MPI job, and groups split from it. Where all ranks of a group are on one node their calls go through
/// memory they share; where it spans nodes, through MPI messages, and if the same power of two of neighbouring ranks is
/// on each of its nodes, within the nodes through memory (NodeLevels). All give the same bits.
///
/// A rank that ends by an exception breaks its groups for the others at once. One that dies or freezes is named when
/// their deadline passes; then a main ends the job with MpiSession::abort.
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mpi_session.h"

namespace stoa::parallel {

class MpiMessages;
class NodeCollectives;
class NodeLevels;

/// Which ranks reach each other through memory. All but kSharedMemory are for comparing and testing on one machine what
/// runs between nodes.
enum class NodePath {
  kSharedMemory,  ///< those on one node
  kMessages,      ///< none
  kPairs,         ///< ranks 0 and 1 of the job, 2 and 3, ..., as if each two were a node
};

class MpiCommunicator final : public Communicator {
 public:
  /// Collective over all ranks of the job. To be destroyed before its session; memory from allocate(), and groups split
  /// from it, before it.
  MpiCommunicator(MpiSession& session, double deadline_s, NodePath node_path = NodePath::kSharedMemory);
  ~MpiCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(members().size()); }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  /// Whether collectives go through shared memory alone.
  bool shares_memory() const { return path_ == Path::kNode; }
  /// Whether they go through shared memory within nodes and through messages between them.
  bool has_levels() const { return path_ == Path::kLevels; }

  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what) override;
  void set_waiting(Waiting waiting) override;
  void interrupt(std::string_view reason) override;

 private:
  enum class Path { kNode, kLevels, kMessages };

  /// What split() leads to. `nodes`: a number for the node of each member, the same where they reach each other's
  /// memory; below 0 where it reaches nobody's.
  MpiCommunicator(double deadline_s, std::string_view name, std::vector<int> members, std::vector<int> nodes, int rank);

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
  void on_failure(std::string_view reason) override;

  static Path path_for(std::span<const int> nodes);
  int node() const { return nodes_[static_cast<std::size_t>(rank_)]; }
  std::vector<int> alone() const;
  void find_nodes(NodePath node_path);
  std::vector<int> node_mates() const;
  bool join_node(MpiCommunicator& through, std::span<const int> in_it);
  void join_levels(std::chrono::steady_clock::time_point deadline);
  bool any_group_needs_messages(std::span<const std::int64_t> colours) const;
  std::optional<int> rank_of_node(int rank) const;
  template <typename Call>
  void on_path(Call&& call);

  int rank_ = 0;
  int local_rank_ = 0, local_size_ = 1;
  std::vector<int> nodes_;
  Path path_ = Path::kMessages;
  std::unique_ptr<MpiMessages> messages_;  ///< null where the whole group is on one node and needs none
  std::unique_ptr<MpiMessages> across_;    ///< the ranks of the same place on each node
  std::unique_ptr<NodeCollectives> node_;
  std::unique_ptr<NodeLevels> levels_;
};

}  // namespace stoa::parallel
