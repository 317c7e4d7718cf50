#include "stoa/trainer/data/data_identity.h"

#include "stoa/base/error.h"
#include "stoa/trainer/data/dataset_fingerprint.h"

namespace stoa::trainer {
namespace {

Json stages_identity(const DataSettings& settings) {
  Json stages = Json::array();
  for (const MixtureStage& stage : settings.stages) {
    Json weights = Json::object();
    for (const SourceWeight& weight : stage.weights) weights[weight.source] = weight.weight;
    stages.push_back({{"from_step", stage.from_step}, {"weights", weights}});
  }
  return stages;
}

/// Of keys that were not always written: what their absence stands for.
bool is_old_default(const std::string& key, const Json& value) {
  if (key == "mask_documents" || key == "reset_positions") return value == false;
  return key == "fingerprint";
}

std::string shown(const Json& value) { return value.is_null() ? "absent" : value.dump(); }

void refuse(const std::string& key, const Json& before, const Json& now) {
  const char* remedy = key.ends_with(".fingerprint") || key.ends_with(".tokens") || key.ends_with(".documents")
                           ? ": the data set has changed; bring the old one back, or begin another run"
                           : "";
  throw CheckpointError("{} was {} when this checkpoint was made, and is {} now{}", key, shown(before), shown(now),
                        remedy);
}

}  // namespace

Json data_identity(const TrainingData& data, const DataSettings& settings, const std::string& tokenizer_fingerprint) {
  const auto counts = [](const OpenSource& source) {
    return Json{{"documents", source.dataset.documents()},
                {"tokens", source.dataset.tokens()},
                {"fingerprint", dataset_fingerprint(source.settings.prefix)}};
  };
  Json identity = Json::object();
  if (settings.sources.empty()) {
    identity = counts(data.sources().front());
  } else {
    Json sources = Json::object(), order = Json::array();
    for (const OpenSource& source : data.sources()) {
      Json entry = counts(source);
      entry["weight"] = source.settings.weight;
      entry["max_epochs"] = source.settings.max_epochs;
      sources[source.settings.name] = entry;
      order.push_back(source.settings.name);
    }
    identity = {{"sources", sources}, {"order", order}, {"stages", stages_identity(settings)}};
  }
  identity["tokenizer"] = tokenizer_fingerprint;
  identity["held_out_fraction"] = settings.held_out_fraction;
  identity["seed"] = settings.seed;
  identity["mask_documents"] = settings.mask_documents;
  identity["reset_positions"] = settings.reset_positions;
  return identity;
}

void require_same_data(const Json& saved, const Json& now, const std::string& place) {
  if (!now.is_object()) return;
  for (const auto& [key, value] : now.items()) {
    const bool known = saved.is_object() && saved.contains(key);
    if (!known && is_old_default(key, value)) continue;
    if (!known || saved.at(key).is_object() != value.is_object())
      refuse(place + "." + key, known ? saved.at(key) : Json(), value);
    if (value.is_object())
      require_same_data(saved.at(key), value, place + "." + key);
    else if (saved.at(key) != value)
      refuse(place + "." + key, saved.at(key), value);
  }
  for (const auto& [key, value] : saved.items())
    if (!now.contains(key)) refuse(place + "." + key, value, Json());
}

}  // namespace stoa::trainer
