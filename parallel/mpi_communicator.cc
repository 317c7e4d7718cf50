#include "stoa/parallel/mpi_communicator.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/parallel/mpi_messages.h"
#include "stoa/parallel/mpi_parts.h"
#include "stoa/parallel/node_collectives.h"
#include "stoa/parallel/node_levels.h"
#include "stoa/parallel/one_rank.h"

namespace stoa::parallel {
namespace {

std::vector<int> members_of_job() {
  std::vector<int> members(static_cast<std::size_t>(size_of(MPI_COMM_WORLD)));
  std::iota(members.begin(), members.end(), 0);
  return members;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <typename T>
std::vector<T> of_ranks(std::span<const T> all, std::span<const int> ranks) {
  std::vector<T> some;
  for (const int rank : ranks) some.push_back(all[static_cast<std::size_t>(rank)]);
  return some;
}

}  // namespace

MpiCommunicator::MpiCommunicator(MpiSession&, double deadline_s, NodePath node_path)
    : Communicator(deadline_s, "job", members_of_job()), rank_(rank_in(MPI_COMM_WORLD)) {
  run_call("join", "the node", 0, [&] {
    messages_ = std::make_unique<MpiMessages>(duplicate_of_job(call_deadline()), members_of_job());
    find_nodes(node_path);
    // Ranks that cannot reach each other's memory after all (containers of their own) stay with messages.
    if (!join_node(*this, members())) nodes_ = alone();
    path_ = path_for(nodes_);
    join_levels(call_deadline());
  });
}

MpiCommunicator::MpiCommunicator(double deadline_s, std::string_view name, std::vector<int> members,
                                 std::vector<int> nodes, int rank)
    : Communicator(deadline_s, name, std::move(members)), rank_(rank), nodes_(std::move(nodes)) {
  local_size_ = static_cast<int>(node_mates().size());
  local_rank_ = static_cast<int>(std::count(nodes_.begin(), nodes_.begin() + rank_, node()));
}

MpiCommunicator::~MpiCommunicator() { leave_rank(); }

MpiCommunicator::Path MpiCommunicator::path_for(std::span<const int> nodes) {
  if (nodes.front() < 0) return Path::kMessages;
  if (std::count(nodes.begin(), nodes.end(), nodes.front()) == std::ssize(nodes)) return Path::kNode;
  return NodeLevels::fit(nodes) ? Path::kLevels : Path::kMessages;
}

// Nodes of ranks of which none reaches another's memory.
std::vector<int> MpiCommunicator::alone() const {
  std::vector<int> nodes;
  for (const int member : members()) nodes.push_back(-1 - member);
  return nodes;
}

void MpiCommunicator::find_nodes(NodePath node_path) {
  const PlaceOnNode place = place_on_node(call_deadline());
  local_rank_ = place.rank;
  local_size_ = place.ranks;
  int first = place.first_of_job;
  if (node_path == NodePath::kPairs) first = rank_ / 2 * 2;
  nodes_.resize(members().size());
  messages_->all_gather(bytes_of(first), std::as_writable_bytes(std::span(nodes_)), call_deadline());
  if (node_path == NodePath::kMessages) nodes_ = alone();
}

std::vector<int> MpiCommunicator::node_mates() const {
  std::vector<int> mates;
  for (int rank = 0; rank < size(); ++rank)
    if (nodes_[static_cast<std::size_t>(rank)] == node()) mates.push_back(rank);
  return mates;
}

// Collective over `through`, in which the ranks of this group have the numbers in_it. False on all ranks of `through`
// when one of them does not reach its memory: so nobody goes on alone.
bool MpiCommunicator::join_node(MpiCommunicator& through, std::span<const int> in_it) {
  const std::vector<int> mates = node_mates();
  const bool joins = path_for(nodes_) != Path::kMessages;
  const bool makes = joins && mates.front() == rank_;
  std::optional<NodeMemory> memory;
  NodeMemoryName name;
  if (makes) try {
      memory = NodeMemory::create(NodeCollectives::bytes_needed(static_cast<int>(mates.size())));
      name = memory->name();
    } catch (const ResourceError&) {
      memory.reset();
    }
  std::vector<NodeMemoryName> names(through.members().size());
  through.do_all_gather(bytes_of(name), std::as_writable_bytes(std::span(names)));
  const NodeMemoryName& theirs = names[static_cast<std::size_t>(in_it[static_cast<std::size_t>(mates.front())])];
  if (joins && !makes && theirs.descriptor >= 0) memory = NodeMemory::attach(theirs);
  const std::int64_t reached = !joins || memory ? 1 : 0;
  std::vector<std::int64_t> all_reached(names.size());
  through.do_all_gather(bytes_of(reached), std::as_writable_bytes(std::span(all_reached)));
  if (std::count(all_reached.begin(), all_reached.end(), 0) > 0) return false;
  const auto place = static_cast<int>(std::find(mates.begin(), mates.end(), rank_) - mates.begin());
  if (joins) node_ = std::make_unique<NodeCollectives>(std::move(*memory), of_ranks<int>(members(), mates), place);
  return true;
}

void MpiCommunicator::join_levels(std::chrono::steady_clock::time_point deadline) {
  if (path_ != Path::kLevels) return;
  std::vector<int> same_place;
  for (int rank = node_->rank(); rank < size(); rank += node_->ranks())
    same_place.push_back(members()[static_cast<std::size_t>(rank)]);
  across_ = std::make_unique<MpiMessages>(split_of(messages_->communicator(), node_->rank(), deadline),
                                          std::move(same_place));
  levels_ = std::make_unique<NodeLevels>(*node_, *across_);
}

bool MpiCommunicator::any_group_needs_messages(std::span<const std::int64_t> colours) const {
  std::map<std::int64_t, int> node_of_colour;
  for (std::size_t rank = 0; rank < colours.size(); ++rank)
    if (node_of_colour.try_emplace(colours[rank], nodes_[rank]).first->second != nodes_[rank]) return true;
  return false;
}

// All ranks of this group make the same calls of MPI here; most meshes lie so that few groups need them.
std::unique_ptr<Communicator> MpiCommunicator::do_split(std::span<const std::int64_t> colours, std::string_view name) {
  std::vector<int> ranks;
  for (int rank = 0; rank < size(); ++rank)
    if (colours[static_cast<std::size_t>(rank)] == colours[static_cast<std::size_t>(rank_)]) ranks.push_back(rank);
  const auto place = static_cast<int>(std::find(ranks.begin(), ranks.end(), rank_) - ranks.begin());
  std::unique_ptr<MpiCommunicator> group(
      new MpiCommunicator(deadline_s(), name, of_ranks<int>(members(), ranks), of_ranks<int>(nodes_, ranks), place));
  if (!group->join_node(*this, ranks))
    throw ResourceError("a node has no memory for the ranks of a {} to share (here the {})", name, group->name());
  group->path_ = path_for(group->nodes_);
  if (any_group_needs_messages(colours)) {
    const bool needs = group->path_ != Path::kNode;
    const auto colour = static_cast<int>(colours[static_cast<std::size_t>(rank_)]);
    const MPI_Comm part = split_of(messages_->communicator(), needs ? colour : MPI_UNDEFINED, call_deadline());
    if (needs) group->messages_ = std::make_unique<MpiMessages>(part, of_ranks<int>(members(), ranks));
  }
  group->join_levels(call_deadline());
  if (ranks.size() == 1) return std::make_unique<OneRank>(name, members()[static_cast<std::size_t>(rank_)]);
  return group;
}

std::unique_ptr<CommunicatorMemory> MpiCommunicator::allocate(std::size_t bytes, std::string_view what) {
  if (!node_) return messages_->allocate(bytes, what);
  std::unique_ptr<CommunicatorMemory> memory;
  run_call("allocate", what, bytes, [&] { memory = node_->allocate(bytes, what, call_deadline()); });
  return memory;
}

void MpiCommunicator::set_waiting(Waiting waiting) {
  if (node_) node_->set_waiting(waiting);
  if (messages_) messages_->set_waiting(waiting);
  if (across_) across_->set_waiting(waiting);
}

void MpiCommunicator::on_failure(std::string_view reason) {
  if (node_) node_->break_group(reason);
  if (across_) across_->break_group(reason);
  if (messages_ && path_ != Path::kNode) messages_->break_group(reason);
}

void MpiCommunicator::interrupt(std::string_view reason) {
  if (node_) node_->break_group(reason);
  if (messages_) messages_->interrupt();
  if (across_) across_->interrupt();
}

template <typename Call>
void MpiCommunicator::on_path(Call&& call) {
  if (path_ == Path::kNode) return call(*node_);
  if (path_ == Path::kLevels) return call(*levels_);
  call(*messages_);
}

void MpiCommunicator::do_barrier() {
  on_path([&](auto& path) { path.barrier(call_deadline()); });
}

void MpiCommunicator::do_all_reduce(std::span<float> values, ReduceOp op) {
  on_path([&](auto& path) { path.all_reduce(values, op, call_deadline()); });
}

void MpiCommunicator::do_all_reduce(std::span<double> values, ReduceOp op) {
  on_path([&](auto& path) { path.all_reduce(values, op, call_deadline()); });
}

void MpiCommunicator::do_all_reduce(std::span<std::int64_t> values, ReduceOp op) {
  on_path([&](auto& path) { path.all_reduce(values, op, call_deadline()); });
}

void MpiCommunicator::do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  on_path([&](auto& path) { path.all_gather(mine, all, call_deadline()); });
}

void MpiCommunicator::do_broadcast(std::span<std::byte> bytes, int root) {
  on_path([&](auto& path) { path.broadcast(bytes, root, call_deadline()); });
}

void MpiCommunicator::do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts,
                                        std::span<float> mine) {
  on_path([&](auto& path) { path.reduce_scatter(terms, parts, mine, call_deadline()); });
}

void MpiCommunicator::do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) {
  on_path([&](auto& path) { path.all_gather_parts(all, parts, call_deadline()); });
}

// The number in node_ of a rank of this group; none where it is out of reach.
std::optional<int> MpiCommunicator::rank_of_node(int rank) const {
  if (!node_ || nodes_[static_cast<std::size_t>(rank)] != node()) return std::nullopt;
  return rank % node_->ranks();
}

void MpiCommunicator::do_send(std::span<const std::byte> bytes, int to) {
  if (const auto near = rank_of_node(to)) return node_->send(bytes, *near, call_deadline());
  messages_->send(bytes, to, call_deadline());
}

void MpiCommunicator::do_receive(std::span<std::byte> bytes, int from) {
  if (const auto near = rank_of_node(from)) return node_->receive(bytes, *near, call_deadline());
  messages_->receive(bytes, from, call_deadline());
}

}  // namespace stoa::parallel
