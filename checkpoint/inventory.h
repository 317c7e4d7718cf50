#pragma once
/// What lies in a run's checkpoint directory. Reads manifests and sizes of files, no values.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/retention.h"

namespace stoa::checkpoint {

struct InventoryEntry {
  CheckpointEntry entry;
  std::string created;  ///< RFC 3339; this and the next two are empty where the manifest cannot be read
  std::string attempt;
  std::int64_t shards = 0;
  std::int64_t files = 0;
  std::int64_t bytes = 0;  ///< of all its files
  std::optional<double> evaluation_loss;
  std::string defect;      ///< as far as manifest and sizes tell; empty where it is whole
  bool is_latest = false;  ///< `latest` points at it
};

/// A folder of a save that did not end, or of a checkpoint that was to be removed.
struct Leftover {
  std::filesystem::path folder;
  std::int64_t bytes = 0;
};

struct Inventory {
  std::vector<InventoryEntry> checkpoints;  ///< oldest first
  std::vector<Leftover> leftovers;
};

/// StorageError where the directory cannot be listed; an absent one holds nothing.
Inventory take_inventory(const std::filesystem::path& directory);
/// The same of one published folder.
InventoryEntry inventory_of(const CheckpointEntry& entry);

/// The ones that no rule keeps.
std::vector<InventoryEntry> to_prune(const Inventory& inventory, const RetentionRules& rules);

}  // namespace stoa::checkpoint
