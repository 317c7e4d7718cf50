#include "stoa/checkpoint/publication.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_norms.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/checkpoint/view_file.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";

/// The step at the start of a folder's name, and the rest of the name behind it.
std::optional<std::pair<std::int64_t, std::string_view>> leading_step(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view rest = name.substr(kPrefix.size());
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), step);
  if (error != std::errc() || step < 0) return std::nullopt;
  const auto digits = static_cast<std::size_t>(stop - rest.data());
  // One name a step: "step-40" beside "step-00000040" would be a second one.
  if (name.substr(0, kPrefix.size() + digits) != step_folder_name(step)) return std::nullopt;
  return std::pair(step, rest.substr(digits));
}

std::vector<std::string> folder_names(const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code kind_error;
    if (it->is_directory(kind_error) && !it->is_symlink(kind_error)) names.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    throw StorageError("{}: listing failed: {}", directory.string(), error.message());
  return names;
}

/// The attempt that published this folder, where it is whole.
std::optional<std::string> whole_attempt(const fs::path& folder) {
  try {
    return verify_checkpoint(folder).attempt;
  } catch (const CheckpointError&) {
    return std::nullopt;
  }
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

void refuse_whole(const fs::path& folder, std::int64_t step) {
  if (const auto attempt = whole_attempt(folder))
    throw StorageError("{}: step {} is already published, by attempt {}; it stays", folder.string(), step, *attempt);
}

/// Losses are read only where a rule asks for them.
std::vector<RetentionCandidate> candidates_of(const std::vector<CheckpointEntry>& entries,
                                              const RetentionRules& rules) {
  std::vector<RetentionCandidate> candidates;
  for (const CheckpointEntry& entry : entries) {
    candidates.push_back({.step = entry.step, .evaluation_loss = std::nullopt});
    if (rules.keep_best == 0) continue;
    try {
      candidates.back().evaluation_loss = read_manifest(entry.folder).evaluation_loss;
    } catch (const Error&) {
      candidates.back().is_whole = false;
    }
  }
  return candidates;
}

void warn_on_failure(Log& log, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& failure) {
    log.warning("{}", failure.what());
  }
}

}  // namespace

void keep_from_others(const fs::path& path, std::error_code& error) {
  fs::permissions(path, fs::perms::others_all, fs::perm_options::remove, error);
}

std::string step_folder_name(std::int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

std::optional<std::int64_t> published_step(const std::string& folder_name) {
  const auto leading = leading_step(folder_name);
  if (!leading || !leading->second.empty()) return std::nullopt;
  return leading->first;
}

std::optional<std::int64_t> unpublished_step(const std::string& folder_name) {
  const auto leading = leading_step(folder_name);
  if (!leading) return std::nullopt;
  if (!leading->second.starts_with(".partial-") && !leading->second.starts_with(".replaced-")) return std::nullopt;
  return leading->first;
}

std::vector<CheckpointEntry> scan_published(const fs::path& directory) {
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : folder_names(directory))
    if (const auto step = published_step(name)) entries.push_back({*step, directory / name});
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return entries;
}

std::vector<fs::path> scan_unpublished(const fs::path& directory) {
  std::vector<fs::path> folders;
  for (const std::string& name : folder_names(directory))
    if (unpublished_step(name)) folders.push_back(directory / name);
  std::ranges::sort(folders);
  return folders;
}

fs::path begin_partial(const fs::path& directory, std::int64_t step, const std::string& attempt) {
  const fs::path published = directory / step_folder_name(step);
  if (is_there(published)) refuse_whole(published, step);
  const fs::path partial = directory / fmt::format("{}.partial-{}", step_folder_name(step), attempt);
  std::error_code error;
  fs::remove_all(partial, error);
  if (!error) fs::create_directory(partial, error);
  if (!error) keep_from_others(partial, error);
  if (error) throw StorageError("{}: creating the folder failed: {}", partial.string(), error.message());
  return partial;
}

Manifest make_manifest(const CheckpointState& state, const std::string& attempt, const SavePlan& plan,
                       std::span<const ShardRecord> shards, std::span<const double> squares) {
  return {.step = state.step,
          .attempt = attempt,
          .created = format_utc(SystemClock().unix_s()),
          .state = state.state,
          .tensors = plan.tensors,
          .shards = {shards.begin(), shards.end()},
          .norms = norms_of(plan, squares),
          .evaluation_loss = state.evaluation_loss};
}

void publish_whole(const fs::path& partial, const fs::path& directory, const Manifest& manifest, const SavePlan& plan,
                   Log& log) {
  const auto mappings = static_cast<std::int64_t>(plan.sources.size());
  if (mappings <= kMostMappings) write_view(partial, plan.tensors, plan.sources);
  write_file_durably(partial / "manifest.json", format_manifest(manifest));
  std::error_code error;
  for (fs::directory_iterator file(partial, error), end; !error && file != end; file.increment(error))
    keep_from_others(file->path(), error);
  if (error) throw StorageError("{}: setting the modes of its files failed: {}", partial.string(), error.message());
  publish(partial, directory, manifest.step, manifest.attempt, log);
  if (mappings > kMostMappings)
    log.info("step {} has {} pieces and no checkpoint.h5: `stoa checkpoint index {}` writes it", manifest.step,
             mappings, (directory / step_folder_name(manifest.step)).string());
}

void publish(const fs::path& partial, const fs::path& directory, std::int64_t step, const std::string& attempt,
             Log& log) {
  const fs::path folder = directory / step_folder_name(step);
  if (is_there(folder)) {
    refuse_whole(folder, step);
    const fs::path aside = directory / fmt::format("{}.replaced-{}", step_folder_name(step), attempt);
    log.warning("{}: not whole; moved to {} and replaced", folder.string(), aside.filename().string());
    std::error_code ignored;
    fs::remove_all(aside, ignored);
    rename_durably(folder, aside);
  }
  // rename(2) refuses a target that is a folder with files: an attempt that published in this very moment keeps its
  // own.
  rename_durably(partial, folder);
}

void tidy_after(const fs::path& directory, std::int64_t step, const RetentionRules& rules, Log& log) {
  warn_on_failure(log, [&] { replace_symlink(directory / "latest", step_folder_name(step)); });
  warn_on_failure(log, [&] {
    for (const fs::path& left : scan_unpublished(directory))
      if (*unpublished_step(left.filename().string()) <= step) fs::remove_all(left);
  });
  warn_on_failure(log, [&] {
    std::vector<CheckpointEntry> entries = scan_published(directory);
    std::erase_if(entries, [&](const CheckpointEntry& entry) { return entry.step > step; });
    const std::set<std::int64_t> doomed = steps_to_remove(candidates_of(entries, rules), rules);
    for (const CheckpointEntry& entry : entries)
      if (doomed.contains(entry.step)) remove_published(entry);
  });
}

void remove_published(const CheckpointEntry& entry) {
  const fs::path doomed = entry.folder.string() + ".replaced-old";
  std::error_code error;
  fs::remove_all(doomed, error);
  if (!error) fs::rename(entry.folder, doomed, error);
  if (!error) fs::remove_all(doomed, error);
  if (error) throw StorageError("{}: removing it failed: {}", entry.folder.string(), error.message());
}

}  // namespace stoa::checkpoint
