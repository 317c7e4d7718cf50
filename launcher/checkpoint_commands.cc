#include "stoa/launcher/checkpoint_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/copying.h"
#include "stoa/checkpoint/difference.h"
#include "stoa/checkpoint/inventory.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/checkpoint/view_file.h"
#include "stoa/launcher/checkpoint_texts.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;
using checkpoint::CheckpointEntry;
using checkpoint::InventoryEntry;

std::string bytes_text(std::int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

/// RUN/checkpoints, or the directory itself where it is one.
fs::path checkpoints_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) throw CheckpointError("{}: no such directory", path.string());
  const fs::path inside = path / "checkpoints";
  return fs::is_directory(inside, ignored) ? inside : path;
}

CheckpointEntry newest_whole(const fs::path& directory) {
  const checkpoint::Inventory inventory = checkpoint::take_inventory(directory);
  for (auto each = inventory.checkpoints.rbegin(); each != inventory.checkpoints.rend(); ++each)
    if (each->defect.empty()) return each->entry;
  throw CheckpointError(
      "{}: {}", directory.string(),
      inventory.checkpoints.empty() ? "no checkpoint" : "no whole checkpoint; `stoa checkpoint list` says why");
}

CheckpointEntry find_checkpoint(const CheckpointWords& words) {
  fs::path path = words.path.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // a slash at the end
  std::error_code ignored;
  if (fs::is_symlink(path, ignored)) path = path.parent_path() / fs::read_symlink(path, ignored);  // `latest`
  const std::string name = fs::absolute(path).lexically_normal().filename().string();
  if (const auto step = checkpoint::published_step(name); step && fs::is_directory(path, ignored)) {
    if (words.step && *words.step != *step) throw UsageError("{}: it is not of step {}", path.string(), *words.step);
    return {*step, path};
  }
  const fs::path directory = checkpoints_of(path);
  // A folder that was copied may have any name.
  if (fs::exists(directory / "manifest.json", ignored) && !words.step)
    return {checkpoint::read_manifest(directory).step, directory};
  if (!words.step) return newest_whole(directory);
  const CheckpointEntry entry{*words.step, directory / checkpoint::step_folder_name(*words.step)};
  if (!fs::is_directory(entry.folder, ignored))
    throw CheckpointError("{}: no such checkpoint; `stoa checkpoint list` names those there are",
                          entry.folder.string());
  return entry;
}

checkpoint::RetentionRules rules_of(const PruneOptions& options) {
  const RunDirectory run{options.run};
  checkpoint::RetentionRules rules{options.keep_last.value_or(0), options.keep_every_steps.value_or(0),
                                   options.keep_best.value_or(0)};
  if (options.keep_last && options.keep_every_steps && options.keep_best) return rules;
  std::error_code ignored;
  if (fs::exists(run.spec(), ignored)) {
    const auto& settings = read_experiment(run.spec()).checkpoint;
    rules.keep_last = options.keep_last.value_or(settings.keep_last);
    rules.keep_every_steps = options.keep_every_steps.value_or(settings.keep_every_steps);
    rules.keep_best = options.keep_best.value_or(settings.keep_best);
  } else if (!options.keep_last) {
    throw UsageError("{}: no spec.yaml tells how many to keep: give --keep-last", options.run.string());
  }
  return rules;
}

void prune_one(const InventoryEntry& each, Pruning pruning, std::FILE* out) {
  if (pruning == Pruning::kDone) checkpoint::remove_published(each.entry);
  fmt::print(out, "{} {}, {}\n", pruning == Pruning::kDone ? "removed" : "would remove", each.entry.folder.string(),
             bytes_text(each.bytes));
}

void prune_one(const checkpoint::Leftover& left, Pruning pruning, std::FILE* out) {
  std::error_code error;
  if (pruning == Pruning::kDone) fs::remove_all(left.folder, error);
  if (error) throw StorageError("{}: removing it failed: {}", left.folder.string(), error.message());
  fmt::print(out, "{} {}, {}, left of a save that did not end\n",
             pruning == Pruning::kDone ? "removed" : "would remove", left.folder.string(), bytes_text(left.bytes));
}

}  // namespace

int run_checkpoint_list(const fs::path& run, TextOrJson format, std::FILE* out) {
  const fs::path directory = checkpoints_of(run);
  const checkpoint::Inventory inventory = checkpoint::take_inventory(directory);
  if (format == TextOrJson::kJson) {
    print_json(out, inventory_json(inventory));
  } else if (inventory.checkpoints.empty() && inventory.leftovers.empty()) {
    fmt::print(out, "{}: no checkpoint\n", directory.string());
  } else {
    fmt::print(out, "{}", inventory_text(inventory));
  }
  return kExitFinished;
}

int run_checkpoint_show(const ShowCheckpointOptions& options, std::FILE* out) {
  const InventoryEntry entry = checkpoint::inventory_of(find_checkpoint(options.checkpoint));
  const checkpoint::Manifest manifest = checkpoint::read_manifest(entry.entry.folder);
  if (options.format == TextOrJson::kJson) {
    print_json(out, manifest_json(entry, manifest));
    return kExitFinished;
  }
  fmt::print(out, "{}", manifest_text(entry, manifest));
  if (options.tensors) fmt::print(out, "\n{}", tensors_text(manifest));
  return kExitFinished;
}

int run_checkpoint_verify(const VerifyCheckpointOptions& options, std::FILE* out, Log& log) {
  const fs::path folder = find_checkpoint(options.checkpoint).folder;
  const SystemClock clock;
  ProgressLines progress(log, clock);
  const auto report =
      checkpoint::verify_all(folder, threads_or_all(options.threads), [&](std::int64_t done, std::int64_t of) {
        progress.line("verified {} of {}", bytes_text(done), bytes_text(of));
      });
  const double seconds = progress.elapsed_s();
  const int code = report.defects.empty() ? kExitFinished : exit_code(ErrorKind::kCheckpoint);
  if (options.format == TextOrJson::kJson) {
    print_json(out, {{"folder", folder.string()},
                     {"tensors", report.tensors},
                     {"bytes", report.bytes},
                     {"seconds", seconds},
                     {"defects", report.defects}});
    return code;
  }
  for (const std::string& defect : report.defects) fmt::print(out, "{}\n", defect);
  fmt::print(out, "{}: {}, {} tensors, {} in {} ({}/s)\n", folder.string(),
             report.defects.empty()
                 ? "every byte is right"
                 : fmt::format("{} {}", report.defects.size(), report.defects.size() == 1 ? "defect" : "defects"),
             format_grouped(report.tensors), bytes_text(report.bytes), format_duration(seconds),
             format_bytes(static_cast<double>(report.bytes) / std::max(seconds, 1e-9)));
  return code;
}

int run_checkpoint_diff(const DiffCheckpointOptions& options, std::FILE* out, Log& log) {
  const fs::path first = find_checkpoint(options.first).folder, second = find_checkpoint(options.second).folder;
  const SystemClock clock;
  ProgressLines progress(log, clock);
  std::int64_t tensors = 0, different = 0;
  Json all = Json::array();
  checkpoint::compare_checkpoints(first, second, [&](const checkpoint::TensorDifference& each) {
    ++tensors;
    const bool same = each.kind == checkpoint::TensorDifference::Kind::kSame;
    different += same ? 0 : 1;
    progress.line("compared {} tensors", format_grouped(tensors));
    if (same && !options.all) return;
    if (options.format == TextOrJson::kJson)
      all.push_back(difference_json(each));
    else
      fmt::print(out, "{}", difference_text(each));
  });
  if (options.format == TextOrJson::kJson)
    print_json(out, {{"first", first.string()},
                     {"second", second.string()},
                     {"tensors", tensors},
                     {"different", different},
                     {"differences", all}});
  else
    fmt::print(out, "{} of {} tensors differ\n", format_grouped(different), format_grouped(tensors));
  return different == 0 ? kExitFinished : exit_code(ErrorKind::kNumeric);
}

int run_checkpoint_prune(const PruneOptions& options, std::FILE* out) {
  const fs::path directory = checkpoints_of(options.run);
  const checkpoint::RetentionRules rules = rules_of(options);
  const RunLock lock(RunDirectory{options.run}.lock());
  const checkpoint::Inventory inventory = checkpoint::take_inventory(directory);
  std::int64_t bytes = 0;
  const auto doomed = checkpoint::to_prune(inventory, rules);
  for (const InventoryEntry& each : doomed) {
    prune_one(each, options.pruning, out);
    bytes += each.bytes;
  }
  for (const checkpoint::Leftover& left : inventory.leftovers) {
    prune_one(left, options.pruning, out);
    bytes += left.bytes;
  }
  fmt::print(out, "{} of {} checkpoints stay; {} {}\n", inventory.checkpoints.size() - doomed.size(),
             inventory.checkpoints.size(), bytes_text(bytes),
             options.pruning == Pruning::kDone ? "removed" : "would be removed");
  return kExitFinished;
}

int run_checkpoint_copy(const CheckpointWords& words, const fs::path& to, std::FILE* out, Log& log) {
  const fs::path folder = find_checkpoint(words).folder;
  const SystemClock clock;
  ProgressLines progress(log, clock);
  const std::int64_t bytes = checkpoint::copy_checkpoint(folder, to, [&](std::int64_t done, std::int64_t of) {
    progress.line("copied {} of {}", bytes_text(done), bytes_text(of));
  });
  fmt::print(out, "{}: {} of {}, every byte verified\n", to.string(), bytes_text(bytes), folder.string());
  return kExitFinished;
}

int run_checkpoint_index(const CheckpointWords& words, std::FILE* out) {
  const fs::path folder = find_checkpoint(words).folder;
  const std::int64_t pieces = checkpoint::rewrite_view(folder);
  fmt::print(out, "{}: {} pieces\n", (folder / "checkpoint.h5").string(), format_grouped(pieces));
  return kExitFinished;
}

}  // namespace stoa::launcher
