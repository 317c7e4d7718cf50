/// Models to safetensors and back: the same bits, in bounded memory, and refusals that name what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>

#include "stoa/base/error.h"
#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/safetensors_writer.h"
#include "stoa/checkpoint/streamed_checkpoint.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/interchange/transformers_config.h"
#include "stoa/trainer/interchange/weights_in.h"
#include "stoa/trainer/interchange/weights_out.h"
#include "stoa/trainer/model/model.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

ModelSettings odd_model(ModelFamily family) {
  return {.family = family,
          .layers = 2,
          .width = 50,
          .heads = 5,
          .feed_forward_width = 37,
          .vocabulary_size = 263,
          .context_length = 33};
}

std::vector<ModelSettings> variants() {
  std::vector<ModelSettings> all(5, odd_model(ModelFamily::kLlama));
  all[1].tied_embedding = true;
  all[1].key_value_heads = 1;
  all[2].query_key_norm = true;
  all[2].head_width = 14;
  all[3] = all[4] = odd_model(ModelFamily::kGpt2);
  all[4].tied_embedding = false;
  for (ModelSettings& model : all) model = resolved(model);
  return all;
}

class Interchange : public testing::Test {
 protected:
  /// Random values, saved by several ranks.
  std::filesystem::path save(const ModelSettings& model, const std::string& name) {
    const ParameterTable table = make_parameter_table(model);
    std::vector<float> values(static_cast<std::size_t>(table.elements));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = float((i * 2654435761U) % 1000003U) * 1e-3F - 500;
    parallel::OneRank one;
    checkpoint::CheckpointStore store(folder_.path() / name, "1", log_);
    std::vector<checkpoint::PieceToSave> pieces;
    for (int rank = 0; rank < 3; ++rank)
      for (auto& piece : pieces_to_save(table, "parameters", values, row_ranges(table, 3, rank)))
        pieces.push_back(piece);
    for (auto& piece : pieces_to_save(table, "adam_m", values)) pieces.push_back(piece);
    store.save({7, Json::object()}, pieces, one, {1});
    return folder_.path() / name / "step-00000007";
  }

  std::vector<float> load(const ModelSettings& model, const std::filesystem::path& step) {
    const ParameterTable table = make_parameter_table(model);
    std::vector<float> values(static_cast<std::size_t>(table.elements));
    checkpoint::CheckpointStore store(step.parent_path(), "1", log_);
    store.load(step, pieces_to_load(table, "parameters", values));
    return values;
  }

  void write(const std::filesystem::path& step, const ModelSettings& model, const std::filesystem::path& out,
             std::int64_t shard_bytes = 1 << 30) {
    std::filesystem::create_directories(out);
    checkpoint::CheckpointReader reader(step);
    write_weights(reader, model, {.folder = out, .shard_bytes = shard_bytes});
  }

  std::string import_error(const ModelSettings& model) {
    try {
      const checkpoint::SafetensorsModel files(folder_ / "in");
      const WeightsIn weights(files, model);
    } catch (const DataError& failure) {
      return failure.what();
    }
    return "accepted";
  }

  ScratchFolder folder_;
  Log log_{stderr, "test", LogLevel::kError};
};

TEST_F(Interchange, OutAndInAgainIsBitForBitTheSame) {
  int number = 0;
  for (const ModelSettings& model : variants())
    for (const std::int64_t shard_bytes : {1 << 30, 20'000}) {
      const std::string name = std::to_string(number++);
      const auto step = save(model, name);
      write(step, model, folder_.path() / (name + "-out"), shard_bytes);
      const checkpoint::SafetensorsModel files(folder_.path() / (name + "-out"));
      WeightsIn weights(files, model);
      double last = 0;
      const auto pieces = weights.pieces([&](double fraction) { last = fraction; });
      checkpoint::write_streamed_checkpoint(folder_.path() / (name + "-in"), {0, Json::object()}, pieces, log_);
      EXPECT_EQ(last, 1);
      EXPECT_EQ(load(model, folder_.path() / (name + "-in") / "step-00000000"), load(model, step)) << name;
    }
}

TEST_F(Interchange, Gpt2ProductsAreStoredTransposedWithQueryKeyAndValueSideBySide) {
  const ModelSettings model = resolved(odd_model(ModelFamily::kGpt2));
  const auto step = save(model, "gpt2");
  write(step, model, folder_ / "out");
  const checkpoint::SafetensorsModel files(folder_ / "out");
  const auto [file, entry] = files.tensors().at("transformer.h.1.attn.c_attn.weight");
  std::vector<float> fused(static_cast<std::size_t>(entry->elements()));
  file->read(*entry, 0, fused);
  const std::vector<float> values = load(model, step);
  const ParameterTable table = make_parameter_table(model);
  const std::int64_t width = model.width;
  for (const auto& [name, first] :
       std::map<std::string, std::int64_t>{{"query", 0}, {"key", width}, {"value", 2 * width}})
    for (const Parameter& parameter : table.parameters) {
      if (parameter.name != "layers.1.attention." + name + ".weight") continue;
      for (std::int64_t out = 0; out < width; ++out)
        for (std::int64_t in = 0; in < width; ++in)
          ASSERT_EQ(fused[std::size_t(in * 3 * width + first + out)],
                    values[std::size_t(parameter.offset + out * width + in)]);
    }
}

TEST_F(Interchange, AConfigReadsBackToTheSameModel) {
  for (const ModelSettings& model : variants()) {
    const Json config = transformers_config(model, {262, 262}, checkpoint::FloatType::kF32);
    const ModelSettings back = model_from_transformers(config, "config.json");
    EXPECT_EQ(transformers_config(back, {262, 262}, checkpoint::FloatType::kF32), config);
    EXPECT_EQ(back.query_key_norm, model.query_key_norm);
    EXPECT_EQ(*back.tied_embedding, *model.tied_embedding);
  }
}

TEST_F(Interchange, WhatStoaDoesNotComputeIsRefusedByItsKey) {
  const auto refusal = [](const ModelSettings& model, const char* change) {
    Json config = transformers_config(model, {262, 262}, checkpoint::FloatType::kF32);
    config.merge_patch(parse_json(change, "change"));
    try {
      model_from_transformers(config, "config.json");
    } catch (const DataError& failure) {
      return std::string(failure.what());
    }
    return std::string("accepted");
  };
  const ModelSettings llama = variants()[0], qwen3 = variants()[2], gpt2 = variants()[3];
  EXPECT_THAT(refusal(llama, R"({"rope_scaling": {"rope_type": "llama3", "factor": 8}})"),
              HasSubstr("'rope_scaling' is"));
  EXPECT_THAT(refusal(llama, R"({"rope_parameters": {"rope_type": "yarn"}})"), HasSubstr("'rope_parameters' is"));
  EXPECT_THAT(refusal(llama, R"({"rope_parameters": {"partial_rotary_factor": 0.5}})"),
              HasSubstr("'rope_parameters' is"));
  EXPECT_THAT(refusal(llama, R"({"rope_parameters": 7})"), HasSubstr("'rope_parameters' is"));
  EXPECT_THAT(refusal(llama, R"({"attention_bias": true})"), HasSubstr("'attention_bias' is true"));
  EXPECT_THAT(refusal(llama, R"({"mlp_bias": true})"), HasSubstr("'mlp_bias' is true"));
  EXPECT_THAT(refusal(llama, R"({"hidden_act": "gelu"})"), HasSubstr("'hidden_act' is \"gelu\""));
  EXPECT_THAT(refusal(llama, R"({"sliding_window": 4096})"), HasSubstr("'sliding_window' is 4096"));
  EXPECT_THAT(refusal(llama, R"({"quantization_config": {"bits": 4}})"), HasSubstr("'quantization_config' is"));
  EXPECT_THAT(refusal(llama, R"({"model_type": "mistral"})"), HasSubstr("'model_type' is 'mistral'"));
  EXPECT_THAT(refusal(llama, R"({"num_hidden_layers": 1000000})"), HasSubstr("'num_hidden_layers' is 1000000"));
  EXPECT_THAT(refusal(llama, R"({"head_dim": 9})"), HasSubstr("model.head_width 9 is odd"));
  EXPECT_THAT(refusal(qwen3, R"({"use_sliding_window": true})"), HasSubstr("'use_sliding_window' is true"));
  EXPECT_THAT(refusal(qwen3, R"({"layer_types": ["full_attention", "sliding_attention"]})"),
              HasSubstr("'layer_types' is"));
  EXPECT_THAT(refusal(gpt2, R"({"activation_function": "relu"})"), HasSubstr("'activation_function' is \"relu\""));
  EXPECT_THAT(refusal(gpt2, R"({"scale_attn_by_inverse_layer_idx": true})"), HasSubstr("'scale_attn_by_inverse"));
  EXPECT_THAT(refusal(gpt2, R"({"add_cross_attention": true})"), HasSubstr("'add_cross_attention' is true"));
  EXPECT_EQ(refusal(llama, R"({"rope_parameters": null, "rope_scaling": null, "head_dim": null})"), "accepted");
  EXPECT_EQ(refusal(gpt2, R"({"activation_function": "gelu_pytorch_tanh", "n_inner": null})"), "accepted");
}

TEST_F(Interchange, WhatTheArchitectureCannotExpressIsRefusedByItsSetting) {
  ModelSettings model = odd_model(ModelFamily::kGpt2);
  model.key_value_heads = 1;
  EXPECT_EQ(check_expressible(resolved(model))->key, "model.key_value_heads");
  model.key_value_heads = 5;
  model.head_width = 12;
  EXPECT_EQ(check_expressible(resolved(model))->key, "model.head_width");
  model = odd_model(ModelFamily::kLlama);
  model.heads = 4;
  model.head_width = 10;
  EXPECT_EQ(check_expressible(resolved(model))->key, "model.heads");
  model.query_key_norm = true;
  EXPECT_FALSE(check_expressible(resolved(model)));
}

TEST_F(Interchange, FilesThatAreNotTheModelsAreRefusedWithTheTensor) {
  const ModelSettings model = variants()[0];
  const auto step = save(model, "llama");
  write(step, model, folder_ / "in");
  EXPECT_EQ(import_error(model), "accepted");
  ModelSettings other = model;
  other.layers = 3;
  EXPECT_THAT(import_error(other), HasSubstr("'model.layers.2.input_layernorm.weight' is in no file"));
  other.layers = 1;
  EXPECT_THAT(import_error(other), HasSubstr("'model.layers.1."));
  other = model;
  other.feed_forward_width = 38;
  EXPECT_THAT(import_error(other), HasSubstr("has shape [37, 50], but config.json asks for [38, 50]"));
  other = model;
  other.tied_embedding = true;
  EXPECT_THAT(import_error(other), HasSubstr("'lm_head.weight' is not 'model.embed_tokens.weight'"));
}

TEST_F(Interchange, AModelSavedWithoutItsHeadHasShorterNamesAndConstants) {
  const ModelSettings model = resolved(odd_model(ModelFamily::kGpt2));
  std::filesystem::create_directories(folder_ / "in");
  std::vector<checkpoint::SafetensorsEntry> entries;
  for (const ForeignTensor& tensor : foreign_tensors(model))
    entries.push_back({tensor.name.substr(std::string("transformer.").size()), "F16", tensor.shape});
  entries.push_back({"h.0.attn.bias", "BOOL", {1, 1, 33, 33}});
  checkpoint::SafetensorsWriter writer(folder_ / "in" / "model.safetensors", entries);
  std::int64_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.elements() * checkpoint::safetensors_dtype_bits(entry.dtype) / 8;
  writer.append(std::vector<std::byte>(static_cast<std::size_t>(bytes)));
  writer.finish();
  EXPECT_EQ(import_error(model), "accepted");
}

/// Kilobytes of a line of /proc/self/status.
std::int64_t status_kb(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  return -1;
}

void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

TEST_F(Interchange, MemoryStaysBoundedHoweverLargeTheModel) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer keeps what was freed: there is no peak to measure";
#endif
  // 60 M parameters, 240 MB, made as they are written.
  ModelSettings model = odd_model(ModelFamily::kGpt2);
  model.width = 1040;
  model.heads = 8;
  model.feed_forward_width = 9001;
  model.vocabulary_size = 12007;
  model = resolved(model);
  std::vector<checkpoint::PieceToProduce> pieces;
  for (const Parameter& parameter : make_parameter_table(model).parameters)
    pieces.push_back({{"parameters/" + parameter.name, checkpoint::DType::kFloat32, parameter.shape},
                      parallel::whole_box(parameter.shape),
                      [](std::span<float> into) { std::fill(into.begin(), into.end(), 0.5F); }});
  checkpoint::write_streamed_checkpoint(folder_ / "large", {0, Json::object()}, pieces, log_);
  const std::int64_t model_kb = parameter_count(model) * 4 / 1024, most_kb = 170 * 1024;
  ASSERT_GT(model_kb, most_kb + 50 * 1024);

  forget_peak();
  std::int64_t before_kb = status_kb("VmRSS");
  write(folder_ / "large" / "step-00000000", model, folder_ / "out");
  EXPECT_LT(status_kb("VmHWM") - before_kb, most_kb);
  std::filesystem::remove_all(folder_ / "large");

  forget_peak();
  before_kb = status_kb("VmRSS");
  const checkpoint::SafetensorsModel files(folder_ / "out");
  WeightsIn weights(files, model);
  checkpoint::write_streamed_checkpoint(folder_ / "in", {0, Json::object()}, weights.pieces({}), log_);
  EXPECT_LT(status_kb("VmHWM") - before_kb, most_kb);
}

}  // namespace
}  // namespace stoa::trainer
