#include "stoa/checkpoint/inventory.h"

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/publication.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

/// Files and their bytes. What goes away meanwhile counts nothing.
std::pair<std::int64_t, std::int64_t> weigh(const fs::path& folder) {
  std::int64_t files = 0, bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (!it->is_regular_file(gone)) continue;
    const auto size = static_cast<std::int64_t>(it->file_size(gone));
    if (gone) continue;
    ++files;
    bytes += size;
  }
  return {files, bytes};
}

std::string size_defect(const fs::path& folder, const ShardRecord& record) {
  const fs::path path = folder / record.file;
  std::error_code error;
  if (fs::is_symlink(path, error)) return fmt::format("{}: a link, not a file", path.string());
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, error));
  if (error) return fmt::format("{}: {}", path.string(), error.message());
  if (bytes == record.bytes) return "";
  return fmt::format("{}: {} bytes, but the manifest says {}", path.string(), bytes, record.bytes);
}

}  // namespace

InventoryEntry inventory_of(const CheckpointEntry& entry) {
  InventoryEntry found;
  found.entry = entry;
  std::tie(found.files, found.bytes) = weigh(entry.folder);
  try {
    const Manifest manifest = read_manifest(entry.folder);
    found.created = manifest.created;
    found.attempt = manifest.attempt;
    found.shards = static_cast<std::int64_t>(manifest.shards.size());
    found.evaluation_loss = manifest.evaluation_loss;
    if (manifest.step != entry.step)
      found.defect = fmt::format("{}: its manifest is of step {}", entry.folder.string(), manifest.step);
    for (const ShardRecord& record : manifest.shards)
      if (found.defect.empty()) found.defect = size_defect(entry.folder, record);
  } catch (const Error& failure) {
    found.defect = failure.what();
  }
  return found;
}

Inventory take_inventory(const fs::path& directory) {
  Inventory inventory;
  std::error_code ignored;
  const fs::path latest = fs::read_symlink(directory / "latest", ignored);
  for (const CheckpointEntry& entry : scan_published(directory)) {
    inventory.checkpoints.push_back(inventory_of(entry));
    inventory.checkpoints.back().is_latest = entry.folder.filename() == latest;
  }
  for (const fs::path& folder : scan_unpublished(directory))
    inventory.leftovers.push_back({folder, weigh(folder).second});
  return inventory;
}

std::vector<InventoryEntry> to_prune(const Inventory& inventory, const RetentionRules& rules) {
  std::vector<RetentionCandidate> candidates;
  for (const InventoryEntry& each : inventory.checkpoints)
    candidates.push_back({each.entry.step, each.evaluation_loss, each.defect.empty()});
  const std::set<std::int64_t> doomed = steps_to_remove(candidates, rules);
  std::vector<InventoryEntry> chosen;
  for (const InventoryEntry& each : inventory.checkpoints)
    if (doomed.contains(each.entry.step)) chosen.push_back(each);
  return chosen;
}

}  // namespace stoa::checkpoint
