#include "stoa/parallel/mpi_communicator.h"

#include <mpi.h>

#include <numeric>
#include <optional>

#include "stoa/base/error.h"
#include "stoa/parallel/mpi_messages.h"
#include "stoa/parallel/node_collectives.h"

namespace stoa::parallel {
namespace {

std::vector<int> members_of_job() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<int> members(static_cast<std::size_t>(size));
  std::iota(members.begin(), members.end(), 0);
  return members;
}

}  // namespace

MpiCommunicator::MpiCommunicator(MpiSession&, double deadline_s, NodePath node_path)
    : Communicator(deadline_s, "job", members_of_job()), messages_(std::make_unique<MpiMessages>(MPI_COMM_WORLD)) {
  rank_ = messages_->rank();
  size_ = messages_->size();
  MPI_Comm node = MPI_COMM_NULL;
  if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node) != MPI_SUCCESS)
    throw CommError("rank {} of {}: MPI_Comm_split_type failed", rank_, size_);
  MPI_Comm_rank(node, &local_rank_);
  MPI_Comm_size(node, &local_size_);
  MPI_Comm_free(&node);
  if (node_path == NodePath::kSharedMemory) run_call("join", "the node", 0, [this] { join_node(); });
}

MpiCommunicator::~MpiCommunicator() = default;

// Ranks that cannot see each other's memory after all (containers of their own) stay with messages.
void MpiCommunicator::join_node() {
  std::int64_t reached = local_size_ == size_ ? 1 : 0;
  messages_->all_reduce(std::span(&reached, 1), ReduceOp::kMin, call_deadline());
  if (reached == 0) return;
  std::optional<NodeMemory> memory;
  NodeMemoryName name;
  if (rank_ == 0) try {
      memory = NodeMemory::create(NodeCollectives::bytes_needed(size_));
      name = memory->name();
    } catch (const ResourceError&) {
      memory.reset();
    }
  messages_->broadcast(std::as_writable_bytes(std::span(&name, 1)), 0, call_deadline());
  if (rank_ != 0 && name.descriptor >= 0) memory = NodeMemory::attach(name);
  reached = memory ? 1 : 0;
  messages_->all_reduce(std::span(&reached, 1), ReduceOp::kMin, call_deadline());
  if (reached == 0) return;
  memory->forget_name();
  node_ = std::make_unique<NodeCollectives>(std::move(*memory), rank_, size_);
}

std::unique_ptr<CommunicatorMemory> MpiCommunicator::allocate(std::size_t bytes, std::string_view what) {
  if (!node_) return Communicator::allocate(bytes, what);
  std::unique_ptr<CommunicatorMemory> memory;
  run_call("allocate", what, bytes, [&] { memory = node_->allocate(bytes, what, call_deadline()); });
  return memory;
}

void MpiCommunicator::do_barrier() {
  if (node_) return node_->barrier(call_deadline());
  messages_->barrier(call_deadline());
}

template <typename T>
void MpiCommunicator::reduce(std::span<T> values, ReduceOp op) {
  if (node_) return node_->all_reduce(values, op, call_deadline());
  messages_->all_reduce(values, op, call_deadline());
}

void MpiCommunicator::do_all_reduce(std::span<float> values, ReduceOp op) { reduce(values, op); }
void MpiCommunicator::do_all_reduce(std::span<double> values, ReduceOp op) { reduce(values, op); }
void MpiCommunicator::do_all_reduce(std::span<std::int64_t> values, ReduceOp op) { reduce(values, op); }

void MpiCommunicator::do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  if (node_) return node_->all_gather(mine, all, call_deadline());
  messages_->all_gather(mine, all, call_deadline());
}

void MpiCommunicator::do_broadcast(std::span<std::byte> bytes, int root) {
  if (node_) return node_->broadcast(bytes, root, call_deadline());
  messages_->broadcast(bytes, root, call_deadline());
}

void MpiCommunicator::do_reduce_scatter(std::span<float>, std::span<const std::size_t>, std::span<float>) {
  throw InternalError("not yet");
}
void MpiCommunicator::do_all_gather_parts(std::span<std::byte>, std::span<const std::size_t>) {
  throw InternalError("not yet");
}
void MpiCommunicator::do_send(std::span<const std::byte>, int) { throw InternalError("not yet"); }
void MpiCommunicator::do_receive(std::span<std::byte>, int) { throw InternalError("not yet"); }
std::unique_ptr<Communicator> MpiCommunicator::do_split(std::span<const std::int64_t>, std::string_view) {
  throw InternalError("not yet");
}

}  // namespace stoa::parallel
