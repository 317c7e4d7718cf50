#include "stoa/trainer/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "stoa/trainer/layout_check.h"

namespace stoa::trainer {
namespace {

/// Llama's rule for SwiGLU: two thirds of 4 D, up to a multiple that suits matrix units.
std::int64_t swiglu_width(std::int64_t width) {
  constexpr std::int64_t kMultiple = 64;
  const std::int64_t two_thirds = (8 * width + 2) / 3;
  return (two_thirds + kMultiple - 1) / kMultiple * kMultiple;
}

/// Weights of one layer's matrices: query, key, value, output and the feed-forward products.
std::int64_t layer_product_parameters(const ModelSettings& m) {
  const std::int64_t attention = 2 * m.width * (m.heads + m.key_value_heads) * m.head_width;
  const std::int64_t products = m.family == ModelFamily::kLlama ? 3 : 2;
  return attention + products * m.width * m.feed_forward_width;
}

/// Norm weights and, for gpt2, the biases of norms and products of one layer.
std::int64_t layer_vector_parameters(const ModelSettings& m) {
  if (m.family == ModelFamily::kLlama) return 2 * m.width + (m.query_key_norm ? 2 * m.head_width : 0);
  const std::int64_t norms = 4 * m.width;
  const std::int64_t attention = (m.heads + 2 * m.key_value_heads) * m.head_width + m.width;
  return norms + attention + m.feed_forward_width + m.width;
}

std::optional<Impossible> impossible(std::string key, std::string message) {
  return Impossible{.key = std::move(key), .message = std::move(message)};
}

std::optional<Impossible> check_schedule(const TrainingSettings& training, const OptimizerSettings& optimizer) {
  if (optimizer.warmup_steps >= training.steps)
    return impossible("optimizer.warmup_steps",
                      fmt::format("optimizer.warmup_steps {} leaves no step of training.steps {} at full rate",
                                  optimizer.warmup_steps, training.steps));
  if (optimizer.schedule != ScheduleKind::kWarmupStableDecay) return std::nullopt;
  const double decay_steps = optimizer.decay_fraction * static_cast<double>(training.steps);
  if (static_cast<double>(optimizer.warmup_steps) + decay_steps > static_cast<double>(training.steps))
    return impossible("optimizer.decay_fraction",
                      fmt::format("optimizer.warmup_steps {} + optimizer.decay_fraction {} x training.steps {} = {} "
                                  "steps, more than there are",
                                  optimizer.warmup_steps, optimizer.decay_fraction, training.steps,
                                  static_cast<double>(optimizer.warmup_steps) + decay_steps));
  return std::nullopt;
}

std::optional<Impossible> check_source(const DataSettings& data, std::size_t i) {
  const DataSource& source = data.sources[i];
  const std::string key = fmt::format("data.sources[{}]", i);
  for (std::size_t other = 0; other < i; ++other) {
    if (data.sources[other].name == source.name)
      return impossible(key + ".name",
                        fmt::format("{}.name {} is the name of data.sources[{}] too", key, source.name, other));
    if (data.sources[other].prefix == source.prefix)
      return impossible(key + ".prefix",
                        fmt::format("{}.prefix {} is the data set of {} too: give that one both weights", key,
                                    source.prefix, data.sources[other].name));
  }
  return std::nullopt;
}

/// The weights of one stage, by the sources' order.
std::optional<Impossible> check_stage(const DataSettings& data, std::size_t i, std::int64_t steps) {
  const MixtureStage& stage = data.stages[i];
  const std::string key = fmt::format("data.stages[{}]", i);
  if (i > 0 && stage.from_step <= data.stages[i - 1].from_step)
    return impossible(key + ".from_step", fmt::format("{}.from_step {} is not after {}, where the stage before begins",
                                                      key, stage.from_step, data.stages[i - 1].from_step));
  if (stage.from_step >= steps)
    return impossible(key + ".from_step", fmt::format("{}.from_step {} is never reached: training.steps is {}", key,
                                                      stage.from_step, steps));
  for (std::size_t w = 0; w < stage.weights.size(); ++w) {
    const std::string& name = stage.weights[w].source;
    const std::string place = fmt::format("{}.weights[{}].source", key, w);
    if (std::none_of(data.sources.begin(), data.sources.end(), [&](const DataSource& s) { return s.name == name; }))
      return impossible(place, fmt::format("{} {} is the name of none of data.sources", place, name));
    for (std::size_t other = 0; other < w; ++other)
      if (stage.weights[other].source == name)
        return impossible(place, fmt::format("{} {} has a weight in this stage already", place, name));
  }
  const std::vector<double> weights = weights_of(data, &stage);
  if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 0; }))
    return impossible(key, fmt::format("{}: the weights of all sources are 0 in it", key));
  return std::nullopt;
}

}  // namespace

std::vector<DataSource> sources_of(const DataSettings& data) {
  if (!data.sources.empty()) return data.sources;
  return {DataSource{.name = "", .prefix = data.prefix, .text = data.text, .weight = 1, .max_epochs = 0}};
}

std::vector<double> weights_of(const DataSettings& data, const MixtureStage* stage) {
  std::vector<double> weights;
  for (const DataSource& source : data.sources) {
    weights.push_back(source.weight);
    if (stage == nullptr) continue;
    for (const SourceWeight& given : stage->weights)
      if (given.source == source.name) weights.back() = given.weight;
  }
  return weights;
}

std::optional<Impossible> check_data(const DataSettings& data, const TrainingSettings& training) {
  if (data.sources.empty()) {
    if (!data.stages.empty())
      return impossible("data.stages", "data.stages change the weights of data.sources, but there are none");
    if (data.prefix.empty()) return impossible("data.prefix", "data.prefix is missing: expected text, or data.sources");
    return std::nullopt;
  }
  if (!data.prefix.empty())
    return impossible("data.prefix", "data.prefix names one data set and data.sources a mixture: give one of the two");
  if (!data.text.empty())
    return impossible("data.text", "data.text stands beside data.sources: give each source its own text");
  for (std::size_t i = 0; i < data.sources.size(); ++i)
    if (auto wrong = check_source(data, i)) return wrong;
  for (std::size_t i = 0; i < data.stages.size(); ++i)
    if (auto wrong = check_stage(data, i, training.steps)) return wrong;
  const std::vector<double> first = weights_of(data, nullptr);
  const bool holds = data.stages.empty() || data.stages.front().from_step > 0;
  if (holds && std::all_of(first.begin(), first.end(), [](double weight) { return weight == 0; }))
    return impossible("data.sources", "data.sources: the weights of all sources are 0 at step 0");
  return std::nullopt;
}

ModelSettings resolved(const ModelSettings& settings) {
  ModelSettings model = settings;
  if (model.key_value_heads == 0) model.key_value_heads = model.heads;
  // Left at 0 where it does not divide: check_model says so.
  if (model.head_width == 0 && model.heads > 0 && model.width % model.heads == 0)
    model.head_width = model.width / model.heads;
  if (model.feed_forward_width == 0)
    model.feed_forward_width = model.family == ModelFamily::kLlama ? swiglu_width(model.width) : 4 * model.width;
  if (!model.tied_embedding) model.tied_embedding = model.family == ModelFamily::kGpt2;
  return model;
}

std::int64_t parameter_count(const ModelSettings& m) {
  const std::int64_t table = m.vocabulary_size * m.width;
  const std::int64_t head = *m.tied_embedding ? 0 : table;
  const std::int64_t positions = m.family == ModelFamily::kGpt2 ? m.context_length * m.width : 0;
  const std::int64_t final_norm = m.family == ModelFamily::kGpt2 ? 2 * m.width : m.width;
  return table + head + positions + final_norm + m.layers * (layer_product_parameters(m) + layer_vector_parameters(m));
}

std::int64_t product_parameter_count(const ModelSettings& m) {
  return m.layers * layer_product_parameters(m) + m.vocabulary_size * m.width;
}

double training_flops_per_token(const ModelSettings& m) {
  const double products = 6.0 * static_cast<double>(product_parameter_count(m));
  const double attention =
      6.0 * static_cast<double>(m.layers * m.heads * m.head_width) * static_cast<double>(m.context_length);
  return products + attention;
}

std::optional<Impossible> check_checkpoint(const CheckpointSettings& checkpoint, const EvaluationSettings& evaluation) {
  if (checkpoint.keep_every_steps > 0 && checkpoint.every_steps == 0)
    return impossible("checkpoint.keep_every_steps",
                      fmt::format("checkpoint.keep_every_steps {} has nothing to choose from: checkpoint.every_steps 0 "
                                  "saves after the last step only",
                                  checkpoint.keep_every_steps));
  if (checkpoint.keep_best > 0 && evaluation.every_steps == 0)
    return impossible(
        "checkpoint.keep_best",
        fmt::format("checkpoint.keep_best {} has nothing to choose by: evaluation.every_steps 0 evaluates "
                    "after the last step only",
                    checkpoint.keep_best));
  return std::nullopt;
}

std::optional<Impossible> check_model(const ModelSettings& m) {
  if (m.head_width == 0)
    return impossible(
        "model.heads",
        fmt::format("model.width {} is not a multiple of model.heads {}; give model.head_width", m.width, m.heads));
  if (m.heads % m.key_value_heads != 0)
    return impossible(
        "model.key_value_heads",
        fmt::format("model.heads {} is not a multiple of model.key_value_heads {}", m.heads, m.key_value_heads));
  if (m.family == ModelFamily::kLlama && m.head_width % 2 != 0)
    return impossible("model.head_width",
                      fmt::format("model.head_width {} is odd; rotary positions turn pairs", m.head_width));
  if (m.family == ModelFamily::kGpt2 && m.query_key_norm)
    return impossible("model.query_key_norm", "model.query_key_norm is offered for model.family llama only");
  return std::nullopt;
}

std::optional<Impossible> check_training(const ModelSettings& m, const TrainingSettings& training,
                                         const ParallelSettings& parallel, const OptimizerSettings& optimizer) {
  if (auto wrong = check_layout(m, training, parallel)) return wrong;
  const double tokens = static_cast<double>(training.steps) * static_cast<double>(training.global_batch) *
                        static_cast<double>(m.context_length);
  if (tokens > 0x1p62)
    return impossible(
        "training.steps",
        fmt::format(
            "training.steps {} x training.global_batch {} x model.context_length {} = {:.3g} tokens, beyond 2^62",
            training.steps, training.global_batch, m.context_length, tokens));
  return check_schedule(training, optimizer);
}

}  // namespace stoa::trainer
