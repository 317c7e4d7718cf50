#pragma once
/// Facts of checkpoints as lines and as JSON.
#include <string>

#include "stoa/base/json.h"
#include "stoa/checkpoint/difference.h"
#include "stoa/checkpoint/inventory.h"
#include "stoa/checkpoint/manifest.h"

namespace stoa::launcher {

/// A table with a line a checkpoint, and what is left of unfinished saves.
std::string inventory_text(const checkpoint::Inventory& inventory);
Json inventory_json(const checkpoint::Inventory& inventory);

std::string manifest_text(const checkpoint::InventoryEntry& entry, const checkpoint::Manifest& manifest);
std::string tensors_text(const checkpoint::Manifest& manifest);
/// With all tensors and the state.
Json manifest_json(const checkpoint::InventoryEntry& entry, const checkpoint::Manifest& manifest);

std::string difference_text(const checkpoint::TensorDifference& difference);
Json difference_json(const checkpoint::TensorDifference& difference);

}  // namespace stoa::launcher
