#pragma once
/// What the writers of data sets share: digests of a file made while it is written, the index as a stream, and the
/// order in which the files of a data set appear.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/json.h"

namespace stoa::trainer {

/// xxh3-128 of each block of a file: what the sidecar of checksums records of .bin and .idx.
struct FileDigest {
  static constexpr std::int64_t kBlockBytes = std::int64_t{1} << 26;
  std::int64_t bytes = 0;
  std::vector<std::string> blocks;  ///< the last one may be short; none where there are no bytes
  bool operator==(const FileDigest&) const = default;
};
Json to_json(const FileDigest& digest);

/// Makes a FileDigest of a stream of parts.
class BlockDigests {
 public:
  void update(std::span<const std::byte> bytes);
  /// Goes on behind whole blocks whose digests are known.
  void go_on_after(std::vector<std::string> blocks);
  const std::vector<std::string>& whole_blocks() const { return digest_.blocks; }
  /// Of the block that is not whole yet.
  std::string tail() const { return stream_.digest_128_hex(); }
  FileDigest result() const;

 private:
  FileDigest digest_;
  std::int64_t in_block_ = 0;
  Xxh3Stream stream_;
};

/// Creates `path` where it is absent, locks it for this process's lifetime of the descriptor (it falls in a crash) and
/// leaves its content. DataError where another process has it, StorageError where the file system knows no locks.
FileDescriptor open_locked(const std::filesystem::path& path);

/// What an .idx says, element by element.
struct IndexContent {
  int type = 0;
  std::int64_t sequences = 0;
  std::int64_t documents = 0;
  std::function<std::int32_t(std::int64_t)> sequence_size;   ///< tokens of sequence 0 .. sequences - 1
  std::function<std::int64_t(std::int64_t)> first_sequence;  ///< of document 0 .. documents (the last: sequences)
};
/// Writes it to `path` and fsyncs.
FileDigest write_index(const std::filesystem::path& path, const IndexContent& content);

/// PREFIX.bin.partial and PREFIX.idx.partial, both whole and on disk, become the data set: the old index goes, .bin
/// comes, then the checksums, and .idx last. A crash in between leaves no .idx.
void publish_dataset(const std::filesystem::path& prefix, const FileDigest& bin, const FileDigest& idx);

/// Writes PREFIX.bin.partial and publishes; without publish() nothing is left behind.
class NewDataset {
 public:
  explicit NewDataset(const std::filesystem::path& prefix);
  NewDataset(const NewDataset&) = delete;
  ~NewDataset();
  void append(std::span<const std::byte> tokens);
  void publish(const IndexContent& content);

 private:
  std::filesystem::path prefix_;
  std::filesystem::path bin_partial_;
  FileDescriptor bin_;
  BlockDigests digests_;
  bool published_ = false;
};

}  // namespace stoa::trainer
