#pragma once
/// What an experiment says about training, as plain structs with the defaults beside the fields. launcher/experiment.*
/// reads them from YAML; every key has the field's name. check_* functions show the arithmetic of what cannot be, as
/// sentences without a place; the reader puts file, line and column in front.
///
/// Dims: B samples of a micro-batch, T context length in tokens, D width, H heads, K key-value heads, E head width,
/// F feed-forward width, V vocabulary, L layers.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "stoa/parallel/mesh.h"
#include "stoa/parallel/pipeline_schedule.h"

namespace stoa::trainer {

enum class ModelFamily {
  kLlama,  ///< RMSNorm, RoPE, SwiGLU, grouped-query attention, no biases (arXiv 2302.13971, 2407.21783)
  kGpt2,   ///< LayerNorm, learned positions, GELU (tanh form), biases, tied embedding (Radford et al. 2019)
};

enum class Precision {
  kFp32,
  kBf16,  ///< bf16 products and activations; fp32 masters, residual stream, gradient accumulation and reduction
};

/// What the backward pass computes again instead of keeping it from the forward pass. The numbers are the same.
enum class Recompute {
  kNone,
  kSelective,  ///< attention outputs and log-sums
  kFull,       ///< everything of a layer but its input
};

/// What is cut over the data axis (arXiv 1910.02054).
enum class Zero {
  kNone,       ///< every data rank holds all of it
  kOptimizer,  ///< stage 1: moments, and in bf16 the fp32 masters
  kGradients,  ///< stage 2: gradients too: they are summed over ranks after each micro-batch
};

struct ModelSettings {
  ModelFamily family = ModelFamily::kLlama;
  std::int64_t layers = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;     ///< 0: as many as heads
  std::int64_t head_width = 0;          ///< 0: width / heads
  std::int64_t feed_forward_width = 0;  ///< 0: 4 * width (gpt2); 8/3 * width rounded up to a multiple of 64 (llama)
  std::int64_t vocabulary_size = 0;
  std::int64_t context_length = 0;
  double norm_epsilon = 1e-5;
  double rope_theta = 10000;
  bool query_key_norm = false;         ///< RMSNorm of each head's query and key before RoPE (llama only)
  std::optional<bool> tied_embedding;  ///< unset: true for gpt2, false for llama
  double dropout = 0;                  ///< on embeddings, attention probabilities and both residual branches
  double initial_std = 0.02;           ///< of weights; residual projections get initial_std / sqrt(2 L)
};

/// The settings with every "0: ..." and "unset: ..." replaced by its value.
ModelSettings resolved(const ModelSettings& settings);

/// Parameters of the true shapes (no vocabulary padding); a tied embedding counts once.
std::int64_t parameter_count(const ModelSettings& resolved_model);
/// Parameters that take part in a matrix product for each token: without embedding table and positions, with the head.
std::int64_t product_parameter_count(const ModelSettings& resolved_model);
/// Model FLOPs to train on one token: 6 N + 6 L H E T (causal attention counted once, no recomputation), N the
/// parameters in products. The convention of llm.c and of PaLM's appendix B halved for causality.
double training_flops_per_token(const ModelSettings& resolved_model);

/// One data set of a mixture.
struct DataSource {
  std::string name;
  std::string prefix;
  std::vector<std::string> text;
  double weight = -1;     ///< relative to the other sources'; has to be given
  double max_epochs = 0;  ///< how often its samples are drawn at most, parts of an epoch too; 0: no limit
};

struct SourceWeight {
  std::string source;
  double weight = -1;
};

/// From `from_step` on, other weights; a source that is not named has the weight of data.sources.
struct MixtureStage {
  std::int64_t from_step = -1;
  std::vector<SourceWeight> weights;
};

/// What a document's beginning inside a sample does. A document's last token, end-of-text, belongs to it; what that
/// token predicts, the next document's first token, counts in the loss all the same, as it does without these rules.
struct DocumentRules {
  bool mask = false;             ///< no token attends across it
  bool reset_positions = false;  ///< position ids begin again at 0
};

struct DataSettings {
  std::string prefix;             ///< PREFIX.bin, PREFIX.idx: Megatron's indexed data set; "" with sources
  std::string tokenizer;          ///< tokenizer.json
  std::vector<std::string> text;  ///< files to make tokenizer and data set from when they are absent; may be empty
  std::string document_separator = "<|endoftext|>";  ///< a line of its own between two documents of a text file
  std::string text_field = "text";                   ///< of a JSON line: the string that is the document
  double held_out_fraction = 0.01;                   ///< of the documents, chosen by keyed hash; never trained on
  std::uint64_t seed = 1;                            ///< of the held-out choice and the order of samples
  std::vector<DataSource> sources;                   ///< a mixture; prefix and text are then empty
  std::vector<MixtureStage> stages;                  ///< ascending; the sources' weights hold before the first
  bool mask_documents = false;
  bool reset_positions = false;

  DocumentRules document_rules() const { return {mask_documents, reset_positions}; }
};

enum class ScheduleKind {
  kConstant,
  kCosine,  ///< half a cosine from the peak to final_fraction (arXiv 1608.03983)
  kLinear,
  kWarmupStableDecay,  ///< constant, then a linear decay over the last decay_fraction of the steps (arXiv 2404.06395)
};

struct OptimizerSettings {
  double learning_rate = 3e-4;
  ScheduleKind schedule = ScheduleKind::kCosine;
  std::int64_t warmup_steps = 0;
  double final_fraction = 0.1;  ///< of the peak, at the last step
  double decay_fraction = 0.2;  ///< warmup-stable-decay only
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;   ///< decoupled (arXiv 1711.05101), on tensors of two dims only
  double gradient_clip = 1.0;  ///< global L2 norm; 0 turns it off
};

struct SpikeSettings {
  std::int64_t window = 128;     ///< steps whose mean and deviation a step is compared with
  double loss_deviations = 0;    ///< skip a step whose loss stands more deviations above the mean; 0: never
  double norm_deviations = 0;    ///< the same for the gradient norm; 0: never
  std::int64_t most_skips = 10;  ///< in a row, NaN or spike; the next one ends the run with a NumericError
};

struct TrainingSettings {
  std::int64_t steps = 0;
  std::int64_t global_batch = 0;  ///< samples of context_length tokens per optimizer step, over all ranks
  std::int64_t micro_batch = 1;   ///< samples per forward and backward pass of one rank
  Precision precision = Precision::kBf16;
  double z_loss = 0;           ///< coefficient of mean(log(sum exp logits)^2) (arXiv 2204.02311)
  std::uint64_t seed = 1;      ///< of initial weights and dropout
  bool deterministic = false;  ///< the same bits for any number of data ranks and pipeline stages
  Recompute recompute = Recompute::kNone;
  std::int64_t log_every = 1;  ///< steps between progress lines where there is no terminal
  std::string start_from;  ///< a step-XXXXXXXX folder whose weights a fresh run begins with; empty: drawn by the seed
  SpikeSettings spike;
};

struct ParallelSettings {
  parallel::MeshSize mesh;
  parallel::PipelineKind schedule = parallel::PipelineKind::kOneForwardOneBackward;
  int chunks_per_stage = 1;                ///< of layers; above 1 with schedule interleaved only
  std::vector<std::int64_t> stage_layers;  ///< layers of each chunk in the model's order; empty: cut by load
  Zero zero = Zero::kNone;
  int threads_per_rank = 0;  ///< 0: the allowed processors divided by the ranks of the node
  double deadline_s = 600;   ///< of every collective
};

struct EvaluationSettings {
  std::int64_t every_steps = 0;  ///< 0: only after the last step
  std::int64_t batches = 8;      ///< global batches of held-out samples, the same ones each time
};

struct CheckpointSettings {
  std::int64_t every_steps = 0;  ///< 0: only after the last step
  std::int64_t keep_last = 2;
  std::int64_t keep_every_steps = 0;  ///< those of every so many steps stay as well; 0: none
  std::int64_t keep_best = 0;         ///< those of the lowest evaluation loss stay as well; 0: none
  /// The most memory of a rank for the state that is copied aside while a save is under way; where the state does not
  /// fit, training waits until the rest does. 0: as much as it takes.
  std::int64_t staging_mib = 0;
  std::int64_t staging_bytes() const {
    return staging_mib == 0 ? std::numeric_limits<std::int64_t>::max() : staging_mib << 20;
  }
};

/// Each returns the first thing that cannot be, naming the fields with their values, or nothing.
struct Impossible {
  std::string key;      ///< "model.heads": the key to point at
  std::string message;  ///< "model.width 65 is not a multiple of model.heads 4"
};
std::optional<Impossible> check_model(const ModelSettings& resolved_model);
/// The data sets that the settings name: of one set (data.prefix) a nameless source of weight 1.
std::vector<DataSource> sources_of(const DataSettings& data);
/// The weight of each source in a stage; null: before the first.
std::vector<double> weights_of(const DataSettings& data, const MixtureStage* stage);
std::optional<Impossible> check_checkpoint(const CheckpointSettings& checkpoint, const EvaluationSettings& evaluation);
std::optional<Impossible> check_data(const DataSettings& data, const TrainingSettings& training);
std::optional<Impossible> check_training(const ModelSettings& resolved_model, const TrainingSettings& training,
                                         const ParallelSettings& parallel, const OptimizerSettings& optimizer);

}  // namespace stoa::trainer
