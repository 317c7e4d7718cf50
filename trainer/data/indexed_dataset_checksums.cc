#include <algorithm>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_files.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/ordered_work.h"

namespace stoa::trainer {
namespace {

/// Version 1 has one digest of each whole file, version 2 one of each block.
constexpr int kWholeFiles = 1;
constexpr int kBlocks = 2;

struct RecordedFile {
  std::uint64_t bytes = 0;
  std::uint64_t block_bytes = 0;
  std::vector<std::string> blocks;
};

RecordedFile recorded_file(const Json& sidecar, const char* key, int version, const std::string& place) {
  const Json recorded = json_field<Json>(sidecar, key, place);
  RecordedFile file{json_field<std::uint64_t>(recorded, "bytes", place), 0, {}};
  if (version == kWholeFiles) {
    file.block_bytes = std::max<std::uint64_t>(file.bytes, 1);
    file.blocks = {json_field<std::string>(recorded, "xxh3_128", place)};
    return file;
  }
  file.block_bytes = json_field<std::uint64_t>(recorded, "block_bytes", place);
  const Json digests = json_field<Json>(recorded, "xxh3_128", place);
  const std::uint64_t expected = file.block_bytes == 0 ? 0 : (file.bytes + file.block_bytes - 1) / file.block_bytes;
  if (file.block_bytes == 0 || file.bytes + file.block_bytes < file.bytes || !digests.is_array() ||
      digests.size() != expected)
    throw DataError("{}: '{}' must have a digest for each {} of its {} bytes", place, key, file.block_bytes,
                    file.bytes);
  for (const Json& digest : digests) file.blocks.push_back(digest.is_string() ? digest.get<std::string>() : "");
  return file;
}

struct Block {
  std::uint64_t number = 0;
  std::string digest;
};

/// Calls found(number, digest) for each block in order; `threads` digest at once.
template <typename Found>
void digest_blocks(std::span<const std::byte> bytes, std::uint64_t block_bytes, int threads, Found found) {
  std::uint64_t next = 0;
  const std::uint64_t blocks = (bytes.size() + block_bytes - 1) / block_bytes;
  work_in_order<Block>(
      threads, [&](Block& block) { return (block.number = next++) < blocks; },
      [&](int, Block& block) {
        const std::size_t begin = block.number * block_bytes;
        block.digest = xxh3_128_hex(bytes.subspan(begin, std::min<std::size_t>(block_bytes, bytes.size() - begin)));
      },
      [&](const Block& block) { found(block); });
}

void verify_one(const std::filesystem::path& path, const RecordedFile& recorded, int threads,
                const std::string& place) {
  const MappedFile file(path);
  if (file.bytes().size() != recorded.bytes)
    throw DataError("{}: {} bytes, but {} were written ({})", path.string(), file.bytes().size(), recorded.bytes,
                    place);
  digest_blocks(file.bytes(), recorded.block_bytes, threads, [&](const Block& block) {
    if (block.digest == recorded.blocks[block.number]) return;
    const std::uint64_t begin = block.number * recorded.block_bytes;
    throw DataError("{}: bytes {} to {}: xxh3-128 is {}, but {} was written ({}): the file has changed", path.string(),
                    begin, std::min(begin + recorded.block_bytes, recorded.bytes), block.digest,
                    recorded.blocks[block.number], place);
  });
}

Json digest_of(const std::filesystem::path& path, int threads) {
  const MappedFile file(path);
  FileDigest digest{static_cast<std::int64_t>(file.bytes().size()), {}};
  digest_blocks(file.bytes(), FileDigest::kBlockBytes, threads,
                [&](const Block& block) { digest.blocks.push_back(block.digest); });
  return to_json(digest);
}

}  // namespace

void write_checksums(const std::filesystem::path& prefix, int threads) {
  const Json sidecar = {{"version", kBlocks},
                        {"bin", digest_of(indexed::tokens_path(prefix), threads)},
                        {"idx", digest_of(indexed::index_path(prefix), threads)}};
  write_file_durably(indexed::checksums_path(prefix), sidecar.dump(2) + "\n");
}

bool verify_checksums(const std::filesystem::path& prefix, int threads) {
  const std::filesystem::path path = indexed::checksums_path(prefix);
  if (!std::filesystem::exists(path)) return false;
  const std::string place = path.string();
  const Json sidecar = parse_json(read_text_file(path), place);
  const auto version = json_field<int>(sidecar, "version", place);
  if (version != kWholeFiles && version != kBlocks)
    throw DataError("{}: version {}, but {} and {} are the ones known", place, version, kWholeFiles, kBlocks);
  verify_one(indexed::tokens_path(prefix), recorded_file(sidecar, "bin", version, place), threads, place);
  verify_one(indexed::index_path(prefix), recorded_file(sidecar, "idx", version, place), threads, place);
  return true;
}

}  // namespace stoa::trainer
