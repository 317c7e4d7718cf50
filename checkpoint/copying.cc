#include "stoa/checkpoint/copying.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/new_folder.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/shard_input.h"
#include "stoa/checkpoint/verify.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

struct SourceFile {
  std::string name;
  std::int64_t bytes = 0;
};

std::vector<SourceFile> files_of(const fs::path& folder) {
  std::vector<std::string> names{"manifest.json"};
  for (const ShardRecord& record : read_manifest(folder).shards) names.push_back(record.file);
  std::error_code error;
  if (fs::is_regular_file(fs::symlink_status(folder / "checkpoint.h5", error))) names.emplace_back("checkpoint.h5");
  std::vector<SourceFile> files;
  for (const std::string& name : names) {
    files.push_back({name, static_cast<std::int64_t>(fs::file_size(folder / name, error))});
    if (error) throw CheckpointError("{}: {}", (folder / name).string(), error.message());
  }
  return files;
}

}  // namespace

std::int64_t copy_checkpoint(const fs::path& folder, const fs::path& to,
                             const std::function<void(std::int64_t done, std::int64_t of)>& progress) {
  const std::vector<SourceFile> files = files_of(folder);
  std::int64_t all = 0, done = 0;
  for (const SourceFile& file : files) all += file.bytes;
  NewFolder made(to);
  std::error_code error;
  keep_from_others(made.partial(), error);
  std::vector<std::byte> block;
  for (const SourceFile& file : files) {
    const ShardInput input(folder / file.name, file.bytes);
    const fs::path path = made.partial() / file.name;
    const FileDescriptor output = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
    for (std::int64_t at = 0; at < file.bytes; at += static_cast<std::int64_t>(block.size())) {
      block.resize(static_cast<std::size_t>(std::min(kTransferBytes, file.bytes - at)));
      input.read_at(at, block);
      write_all(output.get(), block, path);
      progress(done += static_cast<std::int64_t>(block.size()), all);
    }
    sync_file(output.get(), path);
  }
  verify_checkpoint(made.partial());
  made.publish();
  return all;
}

}  // namespace stoa::checkpoint
