#pragma once
/// Names and moves of folders in a run's checkpoint directory: how a step becomes visible, and which ones stay.
/// Called by rank 0 alone.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/save_plan.h"

namespace stoa::checkpoint {

/// Takes the rights of everyone but owner and group: weights and data may not be everyone's.
void keep_from_others(const std::filesystem::path& path, std::error_code& error);

/// "step-00004000"
std::string step_folder_name(std::int64_t step);
/// The step of a published folder's name; nothing for any other name (partial folders among them).
std::optional<std::int64_t> published_step(const std::string& folder_name);
/// The step of a partial or replaced folder's name: "step-00004000.partial-2", "step-00004000.replaced-2".
std::optional<std::int64_t> unpublished_step(const std::string& folder_name);

/// Published folders, oldest first. An absent directory holds none.
std::vector<CheckpointEntry> scan_published(const std::filesystem::path& directory);

/// Folders of unfinished saves and of removals that did not end, in the order of their names.
std::vector<std::filesystem::path> scan_unpublished(const std::filesystem::path& directory);

/// Makes DIRECTORY/step-XXXXXXXX.partial-ATTEMPT anew and returns it. StorageError where the step is already published
/// and whole: the message names the attempt that published it.
std::filesystem::path begin_partial(const std::filesystem::path& directory, std::int64_t step,
                                    const std::string& attempt);

/// The manifest of a step that is being saved, of the shards' records and the sums of squares of the plan's sources.
Manifest make_manifest(const CheckpointState& state, const std::string& attempt, const SavePlan& plan,
                       std::span<const ShardRecord> shards, std::span<const double> squares);

/// Writes checkpoint.h5 (where it has kMostMappings or fewer) and the manifest beside the shards, then publishes.
void publish_whole(const std::filesystem::path& partial, const std::filesystem::path& directory,
                   const Manifest& manifest, const SavePlan& plan, Log& log);

/// The one moment at which a step becomes visible: rename and fsync of the directory. A published folder of this step
/// that is not whole is moved aside first.
void publish(const std::filesystem::path& partial, const std::filesystem::path& directory, std::int64_t step,
             const std::string& attempt, Log& log);

/// After publishing `step`: points `latest` at it, removes older checkpoints that no rule keeps and what unfinished
/// saves of this and earlier steps left. The step stands already, so a failure here is a warning.
void tidy_after(const std::filesystem::path& directory, std::int64_t step, const RetentionRules& rules, Log& log);

/// Removes a published checkpoint: out of sight by one rename first, so that a crash leaves no half of it.
/// StorageError.
void remove_published(const CheckpointEntry& entry);

}  // namespace stoa::checkpoint
