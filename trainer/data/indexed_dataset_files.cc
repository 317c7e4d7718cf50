#include "stoa/trainer/data/indexed_dataset_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

constexpr int kSidecarVersion = 2;
constexpr std::size_t kFlushBytes = 1 << 20;

/// Values appended one by one, written and digested in large parts.
class ValueFile {
 public:
  explicit ValueFile(const std::filesystem::path& path)
      : path_(path), file_(open_file(path, O_WRONLY | O_CREAT | O_TRUNC)) {
    pending_.reserve(kFlushBytes + 8);
  }

  template <typename T>
  void append(T value) {
    const auto raw = std::as_bytes(std::span(&value, 1));
    pending_.insert(pending_.end(), raw.begin(), raw.end());
    if (pending_.size() >= kFlushBytes) flush();
  }
  void append(std::string_view bytes) {
    for (const char byte : bytes) append(byte);
  }

  FileDigest finish() {
    flush();
    sync_file(file_.get(), path_);
    return digests_.result();
  }

 private:
  void flush() {
    write_all(file_.get(), pending_, path_);
    digests_.update(pending_);
    pending_.clear();
  }

  std::filesystem::path path_;
  FileDescriptor file_;
  std::vector<std::byte> pending_;
  BlockDigests digests_;
};

}  // namespace

Json to_json(const FileDigest& digest) {
  return {{"bytes", digest.bytes}, {"block_bytes", FileDigest::kBlockBytes}, {"xxh3_128", digest.blocks}};
}

void BlockDigests::update(std::span<const std::byte> bytes) {
  digest_.bytes += static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    const auto room = static_cast<std::size_t>(FileDigest::kBlockBytes - in_block_);
    const std::span<const std::byte> part = bytes.first(std::min(room, bytes.size()));
    stream_.update(part);
    in_block_ += static_cast<std::int64_t>(part.size());
    bytes = bytes.subspan(part.size());
    if (in_block_ < FileDigest::kBlockBytes) continue;
    digest_.blocks.push_back(stream_.digest_128_hex());
    stream_ = Xxh3Stream();
    in_block_ = 0;
  }
}

void BlockDigests::go_on_after(std::vector<std::string> blocks) {
  stream_ = Xxh3Stream();
  in_block_ = 0;
  digest_.bytes = static_cast<std::int64_t>(blocks.size()) * FileDigest::kBlockBytes;
  digest_.blocks = std::move(blocks);
}

FileDigest BlockDigests::result() const {
  FileDigest digest = digest_;
  if (in_block_ > 0) digest.blocks.push_back(stream_.digest_128_hex());
  return digest;
}

FileDescriptor open_locked(const std::filesystem::path& path) {
  FileDescriptor file = open_file(path, O_RDWR | O_CREAT);
  struct stat opened {};
  struct stat named {};
  const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK)
    throw StorageError("{}: cannot be locked, so that another process may write this data set too: {}", path.string(),
                       errno_message(errno));
  // A writer that finished between our open and our lock has renamed this file or taken it away.
  if (!locked || ::fstat(file.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
      opened.st_ino != named.st_ino)
    throw DataError("{}: another process is writing this data set", path.string());
  return file;
}

FileDigest write_index(const std::filesystem::path& path, const IndexContent& content) {
  ValueFile file(path);
  file.append(indexed::kMagic);
  file.append(indexed::kVersion);
  file.append(static_cast<std::uint8_t>(content.type));
  file.append(static_cast<std::uint64_t>(content.sequences));
  file.append(static_cast<std::uint64_t>(content.documents + 1));
  for (std::int64_t sequence = 0; sequence < content.sequences; ++sequence)
    file.append(content.sequence_size(sequence));
  std::int64_t offset = 0;
  for (std::int64_t sequence = 0; sequence < content.sequences; ++sequence) {
    file.append(offset);
    offset += content.sequence_size(sequence) * indexed::token_bytes(content.type);
  }
  for (std::int64_t document = 0; document <= content.documents; ++document)
    file.append(content.first_sequence(document));
  return file.finish();
}

void publish_dataset(const std::filesystem::path& prefix, const FileDigest& bin, const FileDigest& idx) {
  const Json sidecar = {{"version", kSidecarVersion}, {"bin", to_json(bin)}, {"idx", to_json(idx)}};
  // An old index must never stand beside the new tokens. It may be gone already, and .bin be there: a crash came
  // between the steps below.
  std::filesystem::remove(indexed::index_path(prefix));
  std::filesystem::remove(indexed::checksums_path(prefix));
  const std::filesystem::path bin_partial = indexed::with_ending(prefix, ".bin.partial");
  if (std::filesystem::exists(bin_partial)) rename_durably(bin_partial, indexed::tokens_path(prefix));
  write_file_durably(indexed::checksums_path(prefix), sidecar.dump(2) + "\n");
  rename_durably(indexed::with_ending(prefix, ".idx.partial"), indexed::index_path(prefix));
}

NewDataset::NewDataset(const std::filesystem::path& prefix)
    : prefix_(prefix), bin_partial_(indexed::with_ending(prefix, ".bin.partial")), bin_(open_locked(bin_partial_)) {
  if (::ftruncate(bin_.get(), 0) != 0)
    throw StorageError("{}: truncate failed: {}", bin_partial_.string(), errno_message(errno));
}

NewDataset::~NewDataset() {
  if (published_) return;
  ::unlink(indexed::with_ending(prefix_, ".idx.partial").c_str());
  ::unlink(bin_partial_.c_str());
}

void NewDataset::append(std::span<const std::byte> tokens) {
  write_all(bin_.get(), tokens, bin_partial_);
  digests_.update(tokens);
}

void NewDataset::publish(const IndexContent& content) {
  sync_file(bin_.get(), bin_partial_);
  const FileDigest idx = write_index(indexed::with_ending(prefix_, ".idx.partial"), content);
  publish_dataset(prefix_, digests_.result(), idx);
  published_ = true;
}

}  // namespace stoa::trainer
