#pragma once
/// Names and moves of folders in a run's checkpoint directory: how a step becomes visible, and which ones stay.
/// Called by rank 0 alone.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/checkpoint/checkpoint_store.h"

namespace stoa::checkpoint {

/// "step-00004000"
std::string step_folder_name(std::int64_t step);
/// The step of a published folder's name; nothing for any other name (partial folders among them).
std::optional<std::int64_t> published_step(const std::string& folder_name);
/// The step of a partial or replaced folder's name: "step-00004000.partial-2", "step-00004000.replaced-2".
std::optional<std::int64_t> unpublished_step(const std::string& folder_name);

/// Published folders, oldest first. An absent directory holds none.
std::vector<CheckpointEntry> scan_published(const std::filesystem::path& directory);

/// Makes DIRECTORY/step-XXXXXXXX.partial-ATTEMPT anew and returns it. StorageError where the step is already published
/// and whole: the message names the attempt that published it.
std::filesystem::path begin_partial(const std::filesystem::path& directory, std::int64_t step,
                                    const std::string& attempt);

/// The one moment at which a step becomes visible: rename and fsync of the directory. A published folder of this step
/// that is not whole is moved aside first.
void publish(const std::filesystem::path& partial, const std::filesystem::path& directory, std::int64_t step,
             const std::string& attempt, Log& log);

/// After publishing `step`: points `latest` at it, removes older checkpoints beyond `keep_last` and what unfinished
/// saves of this and earlier steps left. The step stands already, so a failure here is a warning.
void tidy_after(const std::filesystem::path& directory, std::int64_t step, std::int64_t keep_last, Log& log);

}  // namespace stoa::checkpoint
