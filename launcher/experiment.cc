#include "stoa/launcher/experiment.h"

#include <fmt/format.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa::launcher {
namespace {

using parallel::PipelineKind;
using trainer::ModelFamily;
using trainer::Precision;
using trainer::Recompute;
using trainer::ScheduleKind;
using trainer::Zero;

constexpr YamlChoice<ModelFamily> kFamilies[] = {{"llama", ModelFamily::kLlama}, {"gpt2", ModelFamily::kGpt2}};
constexpr YamlChoice<Precision> kPrecisions[] = {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}};
constexpr YamlChoice<ScheduleKind> kSchedules[] = {{"constant", ScheduleKind::kConstant},
                                                   {"cosine", ScheduleKind::kCosine},
                                                   {"linear", ScheduleKind::kLinear},
                                                   {"warmup_stable_decay", ScheduleKind::kWarmupStableDecay}};
constexpr YamlChoice<Recompute> kRecomputes[] = {
    {"none", Recompute::kNone}, {"selective", Recompute::kSelective}, {"full", Recompute::kFull}};
constexpr YamlChoice<PipelineKind> kPipelines[] = {{"gpipe", PipelineKind::kGpipe},
                                                   {"1f1b", PipelineKind::kOneForwardOneBackward},
                                                   {"interleaved", PipelineKind::kInterleaved},
                                                   {"zero_bubble", PipelineKind::kZeroBubble}};
constexpr YamlChoice<Zero> kZeros[] = {{"0", Zero::kNone}, {"1", Zero::kOptimizer}, {"2", Zero::kGradients}};

// Most values are far beyond any use and keep every product of shapes inside 64 bits.
constexpr WholeRange kSize{.least = 1, .most = 1 << 20};
constexpr WholeRange kSizeOrDefault{.least = 0, .most = 1 << 20};
constexpr WholeRange kSteps{.least = 1, .most = 1'000'000'000};
constexpr WholeRange kStepsOrNever{.least = 0, .most = 1'000'000'000};
constexpr RealRange kFraction{.least = 0, .most = 1};
constexpr RealRange kBelowOne{.least = 0, .most = 1, .high = RealRange::End::kOpen};
constexpr RealRange kAboveZero{.low = RealRange::End::kOpen};
constexpr RealRange kAtLeastZero{};

void describe_model(YamlFields& fields, trainer::ModelSettings& model) {
  fields.choice("family", model.family, kFamilies);
  fields.field("layers", model.layers, WholeRange{.least = 1, .most = 10000});
  fields.field("width", model.width, kSize);
  fields.field("heads", model.heads, WholeRange{.least = 1, .most = 10000});
  fields.field("key_value_heads", model.key_value_heads, WholeRange{.least = 0, .most = 10000});
  fields.field("head_width", model.head_width, WholeRange{.least = 0, .most = 10000});
  fields.field("feed_forward_width", model.feed_forward_width, kSizeOrDefault);
  fields.field("vocabulary_size", model.vocabulary_size, WholeRange{.least = 2, .most = 1 << 24});
  fields.field("context_length", model.context_length, WholeRange{.least = 1, .most = 1 << 24});
  fields.field("norm_epsilon", model.norm_epsilon, kAboveZero);
  fields.field("rope_theta", model.rope_theta, kAboveZero);
  fields.field("query_key_norm", model.query_key_norm);
  fields.field("tied_embedding", model.tied_embedding);
  fields.field("dropout", model.dropout, kBelowOne);
  fields.field("initial_std", model.initial_std, kAtLeastZero);
}

constexpr RealRange kWeight{.least = 0, .most = 1e9};

void describe_source(YamlFields& fields, trainer::DataSource& source) {
  fields.field("name", source.name, Presence::kRequired);
  fields.field("prefix", source.prefix, Presence::kRequired);
  fields.field("text", source.text);
  fields.field("weight", source.weight, kWeight);
  fields.field("max_epochs", source.max_epochs, RealRange{.least = 0, .most = 1e6});
}

void describe_source_weight(YamlFields& fields, trainer::SourceWeight& weight) {
  fields.field("source", weight.source, Presence::kRequired);
  fields.field("weight", weight.weight, kWeight);
}

void describe_stage(YamlFields& fields, trainer::MixtureStage& stage) {
  fields.field("from_step", stage.from_step, kStepsOrNever);
  fields.list("weights", stage.weights, describe_source_weight);
}

void describe_data(YamlFields& fields, trainer::DataSettings& data) {
  fields.field("prefix", data.prefix, Presence::kOptional);
  fields.field("tokenizer", data.tokenizer, Presence::kRequired);
  fields.field("text", data.text);
  fields.field("document_separator", data.document_separator, Presence::kRequired);
  fields.field("text_field", data.text_field, Presence::kRequired);
  fields.field("held_out_fraction", data.held_out_fraction, kBelowOne);
  fields.field("seed", data.seed);
  fields.list("sources", data.sources, describe_source);
  fields.list("stages", data.stages, describe_stage);
  fields.field("mask_documents", data.mask_documents);
  fields.field("reset_positions", data.reset_positions);
}

void describe_spike(YamlFields& fields, trainer::SpikeSettings& spike) {
  fields.field("window", spike.window, WholeRange{.least = 2, .most = 1'000'000});
  fields.field("loss_deviations", spike.loss_deviations, kAtLeastZero);
  fields.field("norm_deviations", spike.norm_deviations, kAtLeastZero);
  fields.field("most_skips", spike.most_skips, kStepsOrNever);
}

void describe_training(YamlFields& fields, trainer::TrainingSettings& training) {
  fields.field("steps", training.steps, kSteps);
  fields.field("global_batch", training.global_batch, WholeRange{.least = 1, .most = 1 << 24});
  fields.field("micro_batch", training.micro_batch, WholeRange{.least = 1, .most = 1 << 20});
  fields.choice("precision", training.precision, kPrecisions);
  fields.field("z_loss", training.z_loss, kAtLeastZero);
  fields.field("seed", training.seed);
  fields.field("deterministic", training.deterministic);
  fields.choice("recompute", training.recompute, kRecomputes);
  fields.field("log_every", training.log_every, kSteps);
  fields.field("start_from", training.start_from, Presence::kOptional);
  fields.section("spike", training.spike, describe_spike);
}

void describe_optimizer(YamlFields& fields, trainer::OptimizerSettings& optimizer) {
  fields.field("learning_rate", optimizer.learning_rate, kAboveZero);
  fields.choice("schedule", optimizer.schedule, kSchedules);
  fields.field("warmup_steps", optimizer.warmup_steps, kStepsOrNever);
  fields.field("final_fraction", optimizer.final_fraction, kFraction);
  fields.field("decay_fraction", optimizer.decay_fraction, kFraction);
  fields.field("beta1", optimizer.beta1, kBelowOne);
  fields.field("beta2", optimizer.beta2, kBelowOne);
  fields.field("epsilon", optimizer.epsilon, kAboveZero);
  fields.field("weight_decay", optimizer.weight_decay, kAtLeastZero);
  fields.field("gradient_clip", optimizer.gradient_clip, kAtLeastZero);
}

void describe_parallel(YamlFields& fields, trainer::ParallelSettings& parallel) {
  constexpr WholeRange kRanks{.least = 1, .most = 1 << 20};
  fields.field("data", parallel.mesh.data, kRanks);
  fields.field("pipeline", parallel.mesh.pipeline, kRanks);
  fields.field("tensor", parallel.mesh.tensor, kRanks);
  fields.choice("schedule", parallel.schedule, kPipelines);
  fields.field("chunks_per_stage", parallel.chunks_per_stage, WholeRange{.least = 1, .most = 10000});
  fields.field("stage_layers", parallel.stage_layers, WholeRange{.least = 1, .most = 10000});
  fields.choice("zero", parallel.zero, kZeros);
  fields.field("threads_per_rank", parallel.threads_per_rank, WholeRange{.least = 0, .most = 4096});
  fields.field("deadline_s", parallel.deadline_s, kAboveZero);
}

void describe_checkpoint(YamlFields& fields, trainer::CheckpointSettings& checkpoint) {
  fields.field("every_steps", checkpoint.every_steps, kStepsOrNever);
  fields.field("keep_last", checkpoint.keep_last, WholeRange{.least = 1, .most = 1'000'000});
  fields.field("keep_every_steps", checkpoint.keep_every_steps, kStepsOrNever);
  fields.field("keep_best", checkpoint.keep_best, WholeRange{.least = 0, .most = 1'000'000});
  fields.field("staging_mib", checkpoint.staging_mib, WholeRange{.least = 0, .most = std::int64_t{1} << 30});
}

void describe_evaluation(YamlFields& fields, trainer::EvaluationSettings& evaluation) {
  fields.field("every_steps", evaluation.every_steps, kStepsOrNever);
  fields.field("batches", evaluation.batches, WholeRange{.least = 1, .most = 1'000'000});
}

void describe_cluster(YamlFields& fields, cluster::ClusterSettings& cluster) {
  fields.field("machine", cluster.machine, Presence::kRequired);
  describe_slurm(fields, cluster.slurm);
}

void describe_experiment(YamlFields& fields, Experiment& experiment) {
  fields.field("name", experiment.name, Presence::kRequired);
  fields.field("run_directory", experiment.run_directory, Presence::kOptional);
  fields.section("model", experiment.model, describe_model);
  fields.section("data", experiment.data, describe_data);
  fields.section("training", experiment.training, describe_training);
  fields.section("optimizer", experiment.optimizer, describe_optimizer);
  fields.section("parallel", experiment.parallel, describe_parallel);
  fields.section("checkpoint", experiment.checkpoint, describe_checkpoint);
  fields.section("evaluation", experiment.evaluation, describe_evaluation);
  fields.section("cluster", experiment.cluster, describe_cluster);
}

/// Names become folders and words of reports.
bool is_plain_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
}

std::optional<trainer::Impossible> check_experiment(const Experiment& e) {
  using trainer::Impossible;
  if (!is_plain_name(e.name))
    return Impossible{
        "name", "name: expected at most 64 letters, digits, '_', '-' and '.', beginning with none of the last two"};
  if (auto wrong = check_model(e.model)) return wrong;
  if (e.model.vocabulary_size < 257)
    return Impossible{
        "model.vocabulary_size",
        fmt::format("model.vocabulary_size {} is below 257: the tokenizer has 256 bytes and the end of text",
                    e.model.vocabulary_size)};
  for (std::size_t i = 0; i < e.data.sources.size(); ++i)
    if (const std::string key = fmt::format("data.sources[{}].name", i); !is_plain_name(e.data.sources[i].name))
      return Impossible{key, fmt::format("{}: expected at most 64 letters, digits, '_', '-' and '.', beginning with "
                                         "none of the last two",
                                         key)};
  if (auto wrong = check_data(e.data, e.training)) return wrong;
  if (e.data.document_separator.find('\n') != std::string::npos)
    return Impossible{"data.document_separator", "data.document_separator: expected one line"};
  if (auto wrong = check_checkpoint(e.checkpoint, e.evaluation)) return wrong;
  if (const auto wrong = check_slurm(e.cluster.slurm))
    return Impossible{"cluster." + wrong->key, "cluster." + wrong->message};
  return check_training(e.model, e.training, e.parallel, e.optimizer);
}

struct Value {
  std::string key;
  std::string text;
};

/// Every value under `node` with its path of keys; a list is one value, a list of sections is its sections.
void flatten(const YamlNode& node, const std::string& path, std::vector<Value>& values) {
  if (node.kind == YamlNode::Kind::kMap) {
    for (const YamlEntry& entry : node.entries)
      flatten(entry.value, path.empty() ? entry.key : path + "." + entry.key, values);
    return;
  }
  if (!node.items.empty() && node.items.front().kind == YamlNode::Kind::kMap) {
    for (std::size_t i = 0; i < node.items.size(); ++i) flatten(node.items[i], fmt::format("{}[{}]", path, i), values);
    return;
  }
  std::string text = node.text;
  for (const YamlNode& item : node.items) text += (text.empty() ? "" : ", ") + item.text;
  values.push_back({.key = path, .text = node.kind == YamlNode::Kind::kList ? "[" + text + "]" : text});
}

std::vector<Value> values_of(const Experiment& experiment) {
  std::vector<Value> values;
  flatten(YamlFile::parse(experiment_yaml(experiment), experiment.name).root(), "", values);
  return values;
}

}  // namespace

Experiment parse_experiment(YamlFile& file, std::span<const std::string> overrides) {
  for (const std::string& assignment : overrides) file.set(assignment);
  Experiment experiment;
  YamlReader reader(file);
  describe_experiment(reader, experiment);
  reader.finish();
  experiment.model = trainer::resolved(experiment.model);
  if (experiment.run_directory.empty()) experiment.run_directory = "runs/" + experiment.name;
  if (const auto wrong = check_experiment(experiment))
    throw ConfigError("{}: {}", file.place(wrong->key), wrong->message);
  return experiment;
}

Experiment read_experiment(const std::filesystem::path& path, std::span<const std::string> overrides) {
  YamlFile file = YamlFile::read(path);
  return parse_experiment(file, overrides);
}

std::string experiment_yaml(const Experiment& experiment) {
  YamlWriter writer;
  Experiment copy = experiment;
  describe_experiment(writer, copy);
  return writer.text();
}

std::vector<Difference> differences(const Experiment& before, const Experiment& after) {
  std::vector<Difference> found;
  const std::vector<Value> old_values = values_of(before);
  const std::vector<Value> new_values = values_of(after);
  const auto value_in = [](const std::vector<Value>& values, const std::string& key) -> std::string {
    const auto at = std::find_if(values.begin(), values.end(), [&](const Value& value) { return value.key == key; });
    return at == values.end() ? "absent" : at->text;
  };
  for (const Value& value : new_values)
    if (const std::string old_text = value_in(old_values, value.key); old_text != value.text)
      found.push_back({.key = value.key, .before = old_text, .after = value.text});
  for (const Value& value : old_values)
    if (value_in(new_values, value.key) == "absent" && value.text != "absent")
      found.push_back({.key = value.key, .before = value.text, .after = "absent"});
  return found;
}

}  // namespace stoa::launcher
