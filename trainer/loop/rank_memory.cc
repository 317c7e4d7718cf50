#include "stoa/trainer/loop/rank_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "stoa/checkpoint/staged_chunks.h"
#include "stoa/parallel/message_buffers.h"
#include "stoa/parallel/node_collectives.h"
#include "stoa/trainer/model/parameter_parts.h"
#include "stoa/trainer/optimizer/rank_sums.h"

namespace stoa::trainer {
namespace {

using parallel::MeshCoordinate;

constexpr std::size_t kPage = 4096;

std::size_t whole_pages(std::size_t size_bytes) { return (size_bytes + kPage - 1) / kPage * kPage; }

/// Who of a group shares this rank's node, as the communicator sees it.
struct Mates {
  int size = 1;     ///< of the group
  int on_node = 1;  ///< of them on this node, which share memory: 1 where they send messages
};

Mates mates_of(std::span<const int> members, int rank, int ranks_per_node) {
  const auto on_node = [&](int node) {
    return int(std::ranges::count_if(members, [&](int member) { return member / ranks_per_node == node; }));
  };
  const int mine = on_node(rank / ranks_per_node);
  const bool alike = std::ranges::all_of(members, [&](int r) { return on_node(r / ranks_per_node) == mine; });
  const bool shares = mine == std::ssize(members) || (alike && std::has_single_bit(unsigned(mine)));
  return {int(members.size()), shares ? mine : 1};
}

/// Products of bf16 go through fp32's there (linear_cpu.cc).
bool widens(cpu::Isa isa) { return isa == cpu::Isa::kAvx2 || isa == cpu::Isa::kAvx512; }

class RankPlanner {
 public:
  RankPlanner(const StepSettings& settings, const RankPlace& place)
      : settings_(settings),
        place_(place),
        mesh_(settings.parallel.mesh),
        shape_(pipeline_shape(settings)),
        plan_(make_pipeline_schedule(shape_)[std::size_t(place.at.pipeline)]),
        table_(make_parameter_table(settings.model, model_share(settings.model, settings.parallel, place.at))) {}

  MemoryTable plan() {
    plan_training_state(table_, state_settings(settings_), mesh_, place_.at.data, memory_);
    MemoryTable model;
    plan_model(table_, settings_.training.precision, model_shape(settings_, plan_), place_.threads, model);
    memory_.parts.insert(memory_.parts.end(), model.parts.begin(), model.parts.end());
    if (settings_.training.precision == Precision::kBf16 && widens(place_.isa))
      memory_.add(MemoryKind::kWorkspace, "bf16 operands of a product in fp32",
                  widened_product_bytes(table_, model_shape(settings_, plan_)));
    add_step();
    add_checkpoint();
    add_groups();
    add_messages();
    add_reached_gradients();
    const Mates tensor = mates(&MeshCoordinate::tensor, mesh_.tensor);
    reach("slices of activations", model.total(MemoryKind::kCommunication), tensor);
    reach("gradients summed over the tensor axis", PartialGradients::memory_bytes(table_, owned()), tensor);
    return memory_.merged();
  }

 private:
  std::vector<int> members(int MeshCoordinate::*axis, int size) const {
    std::vector<int> ranks;
    MeshCoordinate other = place_.at;
    for (other.*axis = 0; other.*axis < size; ++(other.*axis)) ranks.push_back(mesh_rank(mesh_, other));
    return ranks;
  }
  Mates mates(int MeshCoordinate::*axis, int size) const { return mates_of(members(axis, size)); }
  Mates mates_of(std::span<const int> members) const {
    return trainer::mates_of(members, mesh_rank(mesh_, place_.at), place_.ranks_per_node);
  }

  BucketPlan buckets() const {
    return make_bucket_plan(table_, {.zero = settings_.parallel.zero, .data_ranks = mesh_.data});
  }
  FlatRanges owned() const { return buckets().owned(place_.at.data); }

  /// What the step itself and the loop around it keep.
  void add_step() {
    const TrainingSettings& training = settings_.training;
    const auto tokens = std::size_t(training.micro_batch * settings_.model.context_length);
    const std::size_t arrays = 2 + (place_.documents.mask || place_.documents.reset_positions ? 1 : 0) +
                               (place_.documents.reset_positions ? 1 : 0);
    memory_.add(MemoryKind::kWorkspace, "tokens and targets of a step",
                std::size_t(shape_.micro_batches) * arrays * tokens * sizeof(std::int32_t));
    memory_.add(MemoryKind::kCommunication, "messages between stages, at hand",
                parallel::PipelineRunner::memory_bytes(
                    mesh_, message_floats(settings_.model, table_.share, training.micro_batch)));
  }

  enum class Staging { kUsed, kUnused };

  /// What a group's ranks on a node share: a part each. Where it spans nodes each has buffers for those on the others.
  void add_group(const Mates& mates, Staging staging) {
    if (mates.size == 1) return;
    if (const int nodes = mates.size / mates.on_node; nodes > 1)
      memory_.add(MemoryKind::kCommunication, "messages between nodes",
                  committed_group_bytes(parallel::message_buffer_bytes(nodes)));
    const auto ranks = std::size_t(mates.on_node);
    std::size_t bytes = parallel::NodeCollectives::bytes_needed(mates.on_node);
    if (staging == Staging::kUnused) bytes -= ranks * parallel::NodeCollectives::kStagingBytes;
    memory_.add(MemoryKind::kCommunication, "seats and staging of a group", bytes / ranks);
    memory_.add(MemoryKind::kNeighbours, "seats and staging of a group", bytes - bytes / ranks);
  }

  /// Staging serves what is not in memory of the group: parameters that are gathered, terms of the loss, a tied
  /// embedding, the texts of a checkpoint.
  void add_groups() {
    std::vector<int> job(std::size_t(mesh_.ranks()));
    std::iota(job.begin(), job.end(), 0);
    add_group(mates_of(job), Staging::kUsed);
    add_group(mates_of(job), Staging::kUsed);  // a checkpoint's
    const bool gathers = settings_.parallel.zero != Zero::kNone;
    add_group(mates(&MeshCoordinate::data, mesh_.data), gathers ? Staging::kUsed : Staging::kUnused);
    const Mates pipeline = mates(&MeshCoordinate::pipeline, mesh_.pipeline);
    add_group(pipeline, Staging::kUnused);
    add_group(pipeline, Staging::kUnused);
    const Mates tensor = mates(&MeshCoordinate::tensor, mesh_.tensor);
    add_group(tensor, Staging::kUnused);
    add_group(tensor, table_.share.holds_end ? Staging::kUsed : Staging::kUnused);
    add_group(mates_of(model_members()), Staging::kUnused);
    const std::array ends = {mesh_rank(mesh_, {place_.at.data, 0, place_.at.tensor}),
                             mesh_rank(mesh_, {place_.at.data, mesh_.pipeline - 1, place_.at.tensor})};
    const bool is_end = table_.share.holds_begin || table_.share.holds_end;
    if (mesh_.pipeline > 1 && is_end)
      add_group(mates_of(ends), table_.tied_across_stages() ? Staging::kUsed : Staging::kUnused);
  }

  std::vector<int> model_members() const {
    std::vector<int> ranks;
    for (int stage = 0; stage < mesh_.pipeline; ++stage)
      for (int slice = 0; slice < mesh_.tensor; ++slice)
        ranks.push_back(mesh_rank(mesh_, {place_.at.data, stage, slice}));
    return ranks;
  }

  /// Measured on models of 4, 44 and 84 layers and 1, 2 and 4 ranks (memory_bench --models deep): HDF5's and JSON's own
  /// memory for each piece that a rank writes, for each piece of all ranks, which every rank compares, and for each
  /// tensor of the view of the whole, which rank 0 writes.
  void add_checkpoint() {
    constexpr std::size_t kOwnPieceBytes = 13'500, kAnyPieceBytes = 300, kTensorBytes = 15'000;
    constexpr std::size_t kStates = 3;  // parameters and both moments
    const bool cut = buckets().zero != Zero::kNone;
    const FlatRanges ranges = cut ? owned() : row_ranges(table_, mesh_.data, place_.at.data);
    std::size_t own = 0;
    std::int64_t padded_bytes = 0;
    for (const ParameterPart& part : parameter_parts(table_, ranges, std::size_t(table_.elements)))
      if (table_.parameters[part.parameter].counted_here) {
        own += kStates;
        padded_bytes += std::int64_t(kStates) *
                        checkpoint::StagedChunks::padded_bytes(part.box.elements() * std::int64_t(sizeof(float)));
      }
    std::size_t bytes = own * kOwnPieceBytes + own * std::size_t(mesh_.ranks()) * kAnyPieceBytes;
    if (mesh_rank(mesh_, place_.at) == 0) bytes += kStates * table_.parameters_of_model * kTensorBytes;
    memory_.add(MemoryKind::kWorkspace, "tables of a checkpoint", bytes);
    memory_.add(MemoryKind::kWorkspace, "a chunk on its way to a checkpoint", std::size_t(checkpoint::kTransferBytes));
    const std::int64_t copied = checkpoint::StagedChunks::memory_bytes(std::min(padded_bytes, place_.staging_bytes));
    memory_.add(MemoryKind::kWorkspace, "state copied aside for a checkpoint",
                committed_group_bytes(std::size_t(std::min(copied, padded_bytes))));
  }

  /// Messages wait in memory that the sender takes and the receiver maps; between nodes each keeps its own.
  void add_messages() {
    if (mesh_.pipeline == 1) return;
    const std::int64_t tokens = settings_.training.micro_batch * settings_.model.context_length;
    const auto rows = parallel::balanced_slice(tokens, mesh_.tensor, place_.at.tensor).size();
    const std::size_t message = whole_pages(std::size_t(rows * settings_.model.width) * sizeof(float));
    const auto at_once =
        std::size_t(std::min(shape_.micro_batches * shape_.chunks, parallel::Communicator::kWaitingMessages));
    const bool begins = shape_.first(place_.at.pipeline, 0) && shape_.chunks == 1;
    const bool ends = shape_.last(place_.at.pipeline, 0);
    const std::size_t sends = (ends ? 0 : 1) + (begins ? 0 : 1);  // activations onward, gradients back
    // Every message that a rank sends has one beside it that it receives.
    const std::size_t bytes = sends * at_once * message;
    const Mates pipeline = mates(&MeshCoordinate::pipeline, mesh_.pipeline);
    const bool shared = pipeline.on_node == pipeline.size;
    memory_.add(MemoryKind::kCommunication, "messages between stages, under way", (shared ? 1 : 2) * bytes);
    if (shared) memory_.add(MemoryKind::kNeighbours, "messages between stages, under way", bytes);
  }

  /// Of every rank's `bytes`, those in this rank's part.
  void reach(const char* name, std::size_t bytes, const Mates& mates) {
    const auto others = std::size_t(mates.on_node - 1);
    memory_.add(MemoryKind::kNeighbours, name, whole_pages(bytes / std::size_t(mates.on_node)) * others);
  }

  void add_reached_gradients() {
    const Mates data = mates(&MeshCoordinate::data, mesh_.data);
    const BucketPlan plan = buckets();
    if (plan.zero == Zero::kGradients) {
      MemoryTable transients;
      plan_gradient_reduction(table_, plan, place_.at.data, state_settings(settings_).gradients, transients);
      reach("gradient buckets on their way to their owners", transients.total(MemoryKind::kCommunication), data);
    } else {
      const GradientSettings gradients = state_settings(settings_).gradients;
      const std::size_t bytes = std::size_t(table_.gradient_elements) * sizeof(float);
      memory_.add(MemoryKind::kGradients, "rest of the last huge page", committed_group_bytes(bytes) - bytes);
      reach("gradients, fp32", bytes - std::size_t(RankSums::unread_elements(table_, plan, gradients)) * sizeof(float),
            data);
    }
  }

  const StepSettings& settings_;
  const RankPlace& place_;
  parallel::MeshSize mesh_;
  parallel::PipelineShape shape_;
  parallel::PipelinePlan plan_;
  ParameterTable table_;
  MemoryTable memory_;
};

}  // namespace

MemoryTable plan_rank(const StepSettings& settings, const RankPlace& place) {
  return RankPlanner(settings, place).plan();
}

int activations_in_flight(const StepSettings& settings, int stage) {
  const auto plans = make_pipeline_schedule(pipeline_shape(settings));
  const std::vector<int>& slots = plans[std::size_t(stage)].slots;
  return std::accumulate(slots.begin(), slots.end(), 0);
}

}  // namespace stoa::trainer
