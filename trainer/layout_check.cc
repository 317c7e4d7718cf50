#include "stoa/trainer/layout_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <span>
#include <tuple>
#include <vector>

#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_order.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

constexpr std::int64_t kMostRanks = 1 << 20;

struct Layout {
  ModelSettings model;
  TrainingSettings training;
  ParallelSettings parallel;

  std::int64_t chunks() const { return std::int64_t{parallel.mesh.pipeline} * parallel.chunks_per_stage; }
  /// Samples of one micro-batch of each data rank.
  std::int64_t at_once() const { return training.micro_batch * parallel.mesh.data; }
  std::int64_t micro_batches() const { return training.global_batch / at_once(); }
  std::string at_once_text() const {
    return fmt::format("training.micro_batch {} x parallel.data {}", training.micro_batch, parallel.mesh.data);
  }
};

/// The key of which another value would do.
enum class Remedy { kNone, kData, kPipeline, kTensor, kGlobalBatch };

struct Defect {
  std::string key;
  std::string message;
  Remedy remedy = Remedy::kNone;
  const char* verb = "";  ///< "2 or 4 `do`"
  Remedy other = Remedy::kNone;
};
using Finding = std::optional<Defect>;
using Rule = Finding (*)(const Layout&);

std::int64_t ranks_of(const parallel::MeshSize& mesh) {
  return std::int64_t{mesh.data} * mesh.pipeline > kMostRanks ? std::int64_t{mesh.data} * mesh.pipeline
                                                              : std::int64_t{mesh.data} * mesh.pipeline * mesh.tensor;
}

Finding rule_ranks(const Layout& l) {
  const parallel::MeshSize& mesh = l.parallel.mesh;
  if (ranks_of(mesh) <= kMostRanks) return std::nullopt;
  return Defect{"parallel.data", fmt::format("parallel.data {} x parallel.pipeline {} x parallel.tensor {} are more "
                                             "than {} ranks",
                                             mesh.data, mesh.pipeline, mesh.tensor, kMostRanks)};
}

Finding rule_heads(const Layout& l) {
  const std::int64_t tensor = l.parallel.mesh.tensor, heads = l.model.heads, shared = l.model.key_value_heads;
  if (heads % tensor != 0)
    return Defect{"parallel.tensor", fmt::format("parallel.tensor {} does not divide model.heads {}", tensor, heads),
                  Remedy::kTensor, "do"};
  if (shared % tensor != 0 && tensor % shared != 0)
    return Defect{"parallel.tensor",
                  fmt::format("parallel.tensor {} neither divides model.key_value_heads {} nor is a multiple of it",
                              tensor, shared),
                  Remedy::kTensor, "do"};
  return std::nullopt;
}

/// Every tensor rank has something of each dim that is cut.
Finding rule_tensor_extents(const Layout& l) {
  const std::int64_t tensor = l.parallel.mesh.tensor, rows = l.training.micro_batch * l.model.context_length;
  const auto more_than = [&](const std::string& what) {
    return Defect{"parallel.tensor", fmt::format("parallel.tensor {} is more than {}", tensor, what), Remedy::kTensor,
                  "would do"};
  };
  if (tensor > l.model.feed_forward_width)
    return more_than(fmt::format("model.feed_forward_width {}", l.model.feed_forward_width));
  if (tensor > l.model.vocabulary_size)
    return more_than(fmt::format("model.vocabulary_size {}", l.model.vocabulary_size));
  if (tensor > rows)
    return more_than(fmt::format("the training.micro_batch {} x model.context_length {} = {} tokens of a micro-batch",
                                 l.training.micro_batch, l.model.context_length, rows));
  return std::nullopt;
}

Finding rule_chunks(const Layout& l) {
  const int chunks = l.parallel.chunks_per_stage;
  const PipelineKind kind = l.parallel.schedule;
  if (chunks > 1 && kind != PipelineKind::kInterleaved)
    return Defect{
        "parallel.chunks_per_stage",
        fmt::format("parallel.chunks_per_stage {} is for parallel.schedule interleaved alone: set it to 1, or "
                    "parallel.schedule to interleaved",
                    chunks)};
  if (chunks == 1 && kind == PipelineKind::kInterleaved)
    return Defect{"parallel.schedule",
                  "parallel.schedule interleaved needs more than the parallel.chunks_per_stage 1: 2 is the least; with "
                  "one chunk a stage it is 1f1b"};
  if (chunks > 1 && l.parallel.mesh.pipeline == 1)
    return Defect{"parallel.chunks_per_stage",
                  fmt::format("parallel.chunks_per_stage {} on parallel.pipeline 1: chunks go round two stages at "
                              "least; set parallel.pipeline to 2, or parallel.chunks_per_stage to 1",
                              chunks)};
  return std::nullopt;
}

Finding rule_layers(const Layout& l) {
  if (l.chunks() <= l.model.layers) return std::nullopt;
  return Defect{"parallel.pipeline",
                fmt::format("parallel.pipeline {} x parallel.chunks_per_stage {} = {} chunks are more than "
                            "model.layers {}",
                            l.parallel.mesh.pipeline, l.parallel.chunks_per_stage, l.chunks(), l.model.layers),
                Remedy::kPipeline, "would do"};
}

/// One number changed until the sum is right, or where that cannot be, the layers cut alike.
std::vector<std::int64_t> nearest_stage_layers(std::vector<std::int64_t> layers, std::int64_t sum) {
  const std::int64_t change = sum - std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
  auto changed =
      change > 0 ? std::min_element(layers.begin(), layers.end()) : std::max_element(layers.begin(), layers.end());
  *changed += change;
  if (*changed > 0) return layers;
  const int chunks = static_cast<int>(layers.size());
  for (int chunk = 0; chunk < chunks; ++chunk)
    layers[static_cast<std::size_t>(chunk)] = parallel::balanced_slice(sum, chunks, chunk).size();
  return layers;
}

Finding rule_stage_layers(const Layout& l) {
  const std::vector<std::int64_t>& layers = l.parallel.stage_layers;
  if (layers.empty()) return std::nullopt;
  const auto refuse = [](std::string message) { return Defect{"parallel.stage_layers", std::move(message)}; };
  if (std::ssize(layers) != l.chunks())
    return refuse(
        fmt::format("parallel.stage_layers has {} numbers, but parallel.pipeline {} x "
                    "parallel.chunks_per_stage {} = {} chunks",
                    layers.size(), l.parallel.mesh.pipeline, l.parallel.chunks_per_stage, l.chunks()));
  const auto least = std::min_element(layers.begin(), layers.end());
  if (*least < 1)
    return refuse(fmt::format("parallel.stage_layers gives chunk {} {} layers: each has one at least",
                              least - layers.begin(), *least));
  const std::int64_t sum = std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
  if (sum == l.model.layers) return std::nullopt;
  return refuse(fmt::format("parallel.stage_layers {} = {}, but model.layers is {}: [{}] would do",
                            fmt::join(layers, " + "), sum, l.model.layers,
                            fmt::join(nearest_stage_layers(layers, l.model.layers), ", ")));
}

Finding rule_batch(const Layout& l) {
  if (l.training.global_batch % l.at_once() == 0) return std::nullopt;
  return Defect{"training.global_batch",
                fmt::format("training.global_batch {} is not a multiple of {} = {}", l.training.global_batch,
                            l.at_once_text(), l.at_once()),
                Remedy::kGlobalBatch, "would do", Remedy::kData};
}

Finding rule_interleaved(const Layout& l) {
  const int stages = l.parallel.mesh.pipeline;
  if (l.parallel.schedule != PipelineKind::kInterleaved || l.micro_batches() % stages == 0) return std::nullopt;
  return Defect{"training.global_batch",
                fmt::format("training.global_batch {} / ({}) = {} micro-batches are not a multiple of "
                            "parallel.pipeline {}, as parallel.schedule interleaved has them",
                            l.training.global_batch, l.at_once_text(), l.micro_batches(), stages),
                Remedy::kGlobalBatch, "would do", Remedy::kPipeline};
}

Finding rule_deterministic(const Layout& l) {
  const std::int64_t data = l.parallel.mesh.data;
  if (!l.training.deterministic) return std::nullopt;
  if (l.parallel.zero != Zero::kGradients) {
    if (parallel::holds_whole_subtrees(data, l.micro_batches())) return std::nullopt;
    return Defect{"training.deterministic",
                  fmt::format("training.deterministic: training.global_batch {} / ({}) = {} micro-batches a rank, and "
                              "only a power of two of them is a whole part of the summation tree",
                              l.training.global_batch, l.at_once_text(), l.micro_batches()),
                  Remedy::kGlobalBatch, "would do"};
  }
  if (l.micro_batches() == 1 || std::has_single_bit(static_cast<std::uint64_t>(data))) return std::nullopt;
  return Defect{"training.deterministic",
                fmt::format("training.deterministic: parallel.zero 2 sums each micro-batch over parallel.data {} "
                            "ranks first, and only a power of two of them is a whole part of the summation tree",
                            data),
                Remedy::kData, "would do"};
}

constexpr Rule kRules[] = {rule_ranks,        rule_heads, rule_tensor_extents, rule_chunks,       rule_layers,
                           rule_stage_layers, rule_batch, rule_interleaved,    rule_deterministic};

bool holds(const Layout& layout, std::span<const Rule> rules) {
  return std::none_of(rules.begin(), rules.end(), [&](Rule rule) { return rule(layout).has_value(); });
}

std::int64_t value_of(const Layout& l, Remedy remedy) {
  switch (remedy) {
    case Remedy::kData:
      return l.parallel.mesh.data;
    case Remedy::kPipeline:
      return l.parallel.mesh.pipeline;
    case Remedy::kTensor:
      return l.parallel.mesh.tensor;
    case Remedy::kGlobalBatch:
      return l.training.global_batch;
    case Remedy::kNone:
      break;
  }
  return 0;
}

void set_value(Layout& l, Remedy remedy, std::int64_t value) {
  if (remedy == Remedy::kData) l.parallel.mesh.data = static_cast<int>(value);
  if (remedy == Remedy::kPipeline) l.parallel.mesh.pipeline = static_cast<int>(value);
  if (remedy == Remedy::kTensor) l.parallel.mesh.tensor = static_cast<int>(value);
  if (remedy == Remedy::kGlobalBatch) l.training.global_batch = value;
}

const char* key_of(Remedy remedy) {
  constexpr const char* kKeys[] = {"", "parallel.data", "parallel.pipeline", "parallel.tensor",
                                   "training.global_batch"};
  return kKeys[static_cast<int>(remedy)];
}

/// Values to try, ascending: as many of a batch as could be the next with whole micro-batches, groups of a pipeline and
/// powers of two; of an axis all up to what it cuts.
std::vector<std::int64_t> candidates(const Layout& l, Remedy remedy) {
  std::vector<std::int64_t> values;
  if (remedy == Remedy::kGlobalBatch) {
    const std::int64_t unit = l.at_once(), stages = l.parallel.mesh.pipeline;
    const std::int64_t near = l.training.global_batch / unit;
    for (std::int64_t m = std::max<std::int64_t>(1, near - stages); m <= near + stages; ++m) values.push_back(m * unit);
    for (std::int64_t power = 1; power <= 4 * std::max(near, stages); power *= 2) values.push_back(power * unit);
    std::sort(values.begin(), values.end());
    return values;
  }
  const std::int64_t most = remedy == Remedy::kTensor     ? l.model.heads
                            : remedy == Remedy::kPipeline ? l.model.layers
                                                          : 2 * value_of(l, remedy);
  for (std::int64_t value = 1; value <= most; ++value) values.push_back(value);
  return values;
}

/// "2 or 4", the nearest values below and above for which the rules hold; "" where there is none.
std::string nearest_values(const Layout& layout, Remedy remedy, std::span<const Rule> rules) {
  if (remedy == Remedy::kNone) return "";
  const std::int64_t now = value_of(layout, remedy);
  std::optional<std::int64_t> below, above;
  for (const std::int64_t value : candidates(layout, remedy)) {
    if (value == now || above) continue;
    Layout changed = layout;
    set_value(changed, remedy, value);
    if (holds(changed, rules)) (value < now ? below : above) = value;
  }
  std::vector<std::int64_t> values;
  for (const auto& value : {below, above})
    if (value) values.push_back(*value);
  return fmt::format("{}", fmt::join(values, " or "));
}

/// ": 2 or 4 do, or parallel.data 3", with which all rules hold, or where that cannot be, those up to the broken one.
std::string remedies(const Layout& layout, const Defect& defect, std::span<const Rule> rules) {
  std::string values = nearest_values(layout, defect.remedy, kRules);
  if (values.empty()) values = nearest_values(layout, defect.remedy, rules);
  const std::string key = defect.key == key_of(defect.remedy) ? "" : fmt::format("{} ", key_of(defect.remedy));
  std::string text = values.empty() ? "" : fmt::format(": {}{} {}", key, values, defect.verb);
  if (const std::string others = nearest_values(layout, defect.other, kRules); !others.empty())
    text += fmt::format("{} {} {}", text.empty() ? ":" : ", or", key_of(defect.other), others);
  return text;
}

std::vector<int> divisors(std::int64_t number) {
  std::vector<int> found;
  for (std::int64_t divisor = 1; divisor <= number; ++divisor)
    if (number % divisor == 0) found.push_back(static_cast<int>(divisor));
  return found;
}

/// Doublings and halvings between two meshes; of as many, the one with fewer stages, then the narrower one.
std::tuple<double, int, int> distance(const parallel::MeshSize& a, const parallel::MeshSize& b) {
  const auto apart = [](int x, int y) { return std::abs(std::log2(double(x) / y)); };
  return {apart(a.data, b.data) + apart(a.pipeline, b.pipeline) + apart(a.tensor, b.tensor), b.pipeline, b.tensor};
}

std::optional<parallel::MeshSize> nearest_mesh(const Layout& layout, std::int64_t ranks) {
  std::optional<parallel::MeshSize> nearest;
  Layout other = layout;
  for (const int tensor : divisors(ranks)) {
    other.parallel.mesh = {.data = 1, .pipeline = 1, .tensor = tensor};
    if (rule_heads(other) || rule_tensor_extents(other)) continue;
    for (const int pipeline : divisors(ranks / tensor)) {
      other.parallel.mesh = {static_cast<int>(ranks / tensor / pipeline), pipeline, tensor};
      if (nearest && distance(layout.parallel.mesh, *nearest) <= distance(layout.parallel.mesh, other.parallel.mesh))
        continue;
      if (holds(other, kRules)) nearest = other.parallel.mesh;
    }
  }
  return nearest;
}

}  // namespace

std::string mesh_text(const parallel::MeshSize& mesh) {
  return fmt::format("data {} x pipeline {} x tensor {}", mesh.data, mesh.pipeline, mesh.tensor);
}

std::optional<Impossible> check_layout(const ModelSettings& model, const TrainingSettings& training,
                                       const ParallelSettings& parallel) {
  const Layout layout = {model, training, parallel};
  for (std::size_t i = 0; i < std::size(kRules); ++i) {
    const Finding defect = kRules[i](layout);
    if (!defect) continue;
    std::string message = defect->message + remedies(layout, *defect, std::span(kRules).first(i + 1));
    const std::int64_t ranks = ranks_of(parallel.mesh);
    if (ranks <= kMostRanks && ranks > 1)
      if (const auto mesh = nearest_mesh(layout, ranks))
        message += fmt::format("; of {} ranks, {} works", ranks, mesh_text(*mesh));
    return Impossible{defect->key, std::move(message)};
  }
  return std::nullopt;
}

std::optional<Impossible> check_ranks(const ModelSettings& model, const TrainingSettings& training,
                                      const ParallelSettings& parallel, std::int64_t job_ranks) {
  const std::int64_t ranks = ranks_of(parallel.mesh);
  if (ranks == job_ranks) return std::nullopt;
  std::string message = fmt::format(
      "parallel.data {} x parallel.pipeline {} x parallel.tensor {} = {}, but the job "
      "has {} ranks",
      parallel.mesh.data, parallel.mesh.pipeline, parallel.mesh.tensor, ranks, job_ranks);
  if (const auto mesh = nearest_mesh(model, training, parallel, job_ranks))
    message += fmt::format(": {} works", mesh_text(*mesh));
  return Impossible{"parallel.data", std::move(message)};
}

std::optional<parallel::MeshSize> nearest_mesh(const ModelSettings& model, const TrainingSettings& training,
                                               const ParallelSettings& parallel, std::int64_t ranks) {
  if (ranks < 1 || ranks > kMostRanks) return std::nullopt;
  return nearest_mesh(Layout{model, training, parallel}, ranks);
}

}  // namespace stoa::trainer
