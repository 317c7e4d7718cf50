/// The texts that a reader of foreign models believes: a safetensors header, its index and config.json. What a header
/// says lies inside its file, fills it, and comes back the same from a header of ours.
#include <cstdlib>

#include "stoa/base/error.h"
#include "stoa/checkpoint/safetensors_header.h"
#include "stoa/checkpoint/safetensors_index.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/trainer/interchange/transformers_config.h"

namespace {

using namespace stoa;
using namespace stoa::checkpoint;

constexpr std::int64_t kDataBytes = 4 * 33 * 65 + 2 * 7;

void try_header(std::string_view input) {
  try {
    std::vector<SafetensorsEntry> entries = parse_safetensors_header(input, kDataBytes, "input");
    std::int64_t end = 0;
    for (const SafetensorsEntry& entry : entries) {
      if (entry.begin != end || entry.bytes < 0 || entry.elements() < 0) std::abort();
      end += entry.bytes;
    }
    if (end != kDataBytes) std::abort();
    const std::string again = format_safetensors_header(entries);
    const auto back = parse_safetensors_header(std::string_view(again).substr(8), kDataBytes, "again");
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (back[i].name != entries[i].name || back[i].shape != entries[i].shape || back[i].dtype != entries[i].dtype)
        std::abort();
  } catch (const DataError&) {
  }
}

void try_index(std::string_view input) {
  try {
    for (const auto& [file, tensors] : parse_safetensors_index(input, "input"))
      if (file.find('/') != std::string::npos || tensors.empty()) std::abort();
  } catch (const DataError&) {
  }
}

void try_config(std::string_view input) {
  try {
    const auto model = trainer::model_from_transformers(parse_json(input, "input"), "input");
    if (trainer::check_model(model)) std::abort();
  } catch (const DataError&) {
  }
}

}  // namespace

namespace stoa::fuzz {

std::vector<std::string> seeds() {
  std::vector<SafetensorsEntry> entries = {{"model.embed.weight", "F32", {33, 65}}, {"bias", "BF16", {7}}};
  trainer::ModelSettings model{.layers = 2, .width = 30, .heads = 3, .vocabulary_size = 263, .context_length = 33};
  const std::string llama = trainer::transformers_config(trainer::resolved(model), {262, 262}, FloatType::kF32).dump();
  model.family = trainer::ModelFamily::kGpt2;
  const std::string gpt2 = trainer::transformers_config(trainer::resolved(model), {262, 262}, FloatType::kF32).dump();
  return {format_safetensors_header(entries).substr(8),
          R"({"metadata": {"total_size": 7}, "weight_map": {"a": "model-00001-of-00002.safetensors"}})", llama, gpt2};
}

}  // namespace stoa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_header(input);
  try_index(input);
  try_config(input);
  return 0;
}
