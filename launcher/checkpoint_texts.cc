#include "stoa/launcher/checkpoint_texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numeric>

#include "stoa/base/units.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::launcher {
namespace {

using checkpoint::InventoryEntry;
using checkpoint::Manifest;
using Kind = checkpoint::TensorDifference::Kind;

std::string bytes_text(std::int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

std::string loss_text(const std::optional<double>& loss) { return loss ? fmt::format("{:.4f}", *loss) : "-"; }

std::int64_t elements_of(const Manifest& manifest) {
  return std::accumulate(manifest.tensors.begin(), manifest.tensors.end(), std::int64_t{0},
                         [](std::int64_t sum, const checkpoint::GlobalTensor& tensor) {
                           return sum + checkpoint::tensor_elements(tensor);
                         });
}

Json entry_json(const InventoryEntry& each) {
  Json json = {{"step", each.entry.step},     {"folder", each.entry.folder.string()},
               {"created", each.created},     {"attempt", each.attempt},
               {"shards", each.shards},       {"files", each.files},
               {"bytes", each.bytes},         {"latest", each.is_latest},
               {"whole", each.defect.empty()}};
  if (each.evaluation_loss) json["evaluation_loss"] = *each.evaluation_loss;
  if (!each.defect.empty()) json["defect"] = each.defect;
  return json;
}

const char* kind_word(Kind kind) {
  switch (kind) {
    case Kind::kOnlyFirst:
      return "only in the first";
    case Kind::kOnlySecond:
      return "only in the second";
    case Kind::kOtherShape:
      return "another shape";
    case Kind::kOtherValues:
      return "other values";
    case Kind::kSame:
      break;
  }
  return "same";
}

}  // namespace

std::string inventory_text(const checkpoint::Inventory& inventory) {
  std::string text;
  if (!inventory.checkpoints.empty())
    text += fmt::format("{:>10}  {:<20}  {:<10}  {:>6}  {:>10}  {:>10}  \n", "step", "published (UTC)", "attempt",
                        "shards", "size", "evaluation");
  for (const InventoryEntry& each : inventory.checkpoints) {
    text += fmt::format("{:>10}  {:<20}  {:<10}  {:>6}  {:>10}  {:>10}  {}\n", each.entry.step, each.created,
                        each.attempt, each.shards, bytes_text(each.bytes), loss_text(each.evaluation_loss),
                        !each.defect.empty() ? "NOT WHOLE"
                        : each.is_latest     ? "latest"
                                             : "");
    if (!each.defect.empty()) text += fmt::format("            {}\n", each.defect);
  }
  for (const checkpoint::Leftover& left : inventory.leftovers)
    text += fmt::format("left of a save that did not end: {}, {}\n", left.folder.string(), bytes_text(left.bytes));
  return text;
}

Json inventory_json(const checkpoint::Inventory& inventory) {
  Json checkpoints = Json::array(), leftovers = Json::array();
  for (const InventoryEntry& each : inventory.checkpoints) checkpoints.push_back(entry_json(each));
  for (const checkpoint::Leftover& left : inventory.leftovers)
    leftovers.push_back({{"folder", left.folder.string()}, {"bytes", left.bytes}});
  return {{"checkpoints", checkpoints}, {"leftovers", leftovers}};
}

std::string manifest_text(const InventoryEntry& entry, const Manifest& manifest) {
  std::string text;
  const auto line = [&](const char* what, const std::string& value) {
    text += fmt::format("{:<13} {}\n", what, value);
  };
  line("Checkpoint", entry.entry.folder.string());
  line("Step", format_grouped(manifest.step));
  line("Published", fmt::format("{} by attempt {}", manifest.created, manifest.attempt));
  line("Tensors", fmt::format("{} of {} elements", format_grouped(static_cast<std::int64_t>(manifest.tensors.size())),
                              format_grouped(elements_of(manifest))));
  line("Files", fmt::format("{} of {}, {} of them shards", entry.files, bytes_text(entry.bytes), entry.shards));
  if (manifest.evaluation_loss) line("Evaluation", fmt::format("loss {:.6f}", *manifest.evaluation_loss));
  const Json& state = manifest.state;
  if (state.is_object() && state.contains("consumed_samples"))
    line("Samples", fmt::format("{} consumed", state["consumed_samples"].dump()));
  line("Whole", entry.defect.empty() ? "as manifest and sizes tell; `stoa checkpoint verify` reads every byte"
                                     : "NO: " + entry.defect);
  return text;
}

std::string tensors_text(const Manifest& manifest) {
  std::string text;
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i)
    text += fmt::format("{:<56} {} {:<20} norm {}\n", manifest.tensors[i].name,
                        checkpoint::dtype_name(manifest.tensors[i].dtype),
                        checkpoint::describe_shape(manifest.tensors[i].shape),
                        std::isnan(manifest.norms[i]) ? "-" : fmt::format("{:.6g}", manifest.norms[i]));
  return text;
}

Json manifest_json(const InventoryEntry& entry, const Manifest& manifest) {
  Json json = entry_json(entry);
  json["state"] = manifest.state;
  json["tensors"] = Json::array();
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    json["tensors"].push_back(checkpoint::tensor_to_json(manifest.tensors[i], "name"));
    if (!std::isnan(manifest.norms[i])) json["tensors"].back()["norm"] = manifest.norms[i];
  }
  return json;
}

std::string difference_text(const checkpoint::TensorDifference& difference) {
  std::string text = fmt::format("{:<56} {}", difference.name, kind_word(difference.kind));
  if (difference.kind == Kind::kOtherShape) text += ": " + difference.shapes;
  if (difference.kind == Kind::kOtherValues)
    text += fmt::format(": {} of {}, largest {:.3g} at [{}], relative {:.3g}", format_grouped(difference.different),
                        format_grouped(difference.elements), difference.largest, fmt::join(difference.where, ", "),
                        difference.relative);
  return text + "\n";
}

Json difference_json(const checkpoint::TensorDifference& difference) {
  Json json = {{"tensor", difference.name}, {"verdict", kind_word(difference.kind)}, {"shape", difference.shapes}};
  if (difference.kind != Kind::kOtherValues) return json;
  json["different"] = difference.different;
  json["elements"] = difference.elements;
  json["largest"] = difference.largest;
  json["where"] = difference.where;
  json["relative"] = difference.relative;
  return json;
}

}  // namespace stoa::launcher
