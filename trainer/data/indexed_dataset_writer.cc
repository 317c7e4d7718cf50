#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kFlushBytes = 1 << 20;

/// Creates `path` empty and locked. The lock keeps a second writer of the same data set out; it falls with the
/// descriptor, also in a crash.
FileDescriptor open_locked(const std::filesystem::path& path) {
  FileDescriptor file = open_file(path, O_RDWR | O_CREAT);
  struct stat opened {};
  struct stat named {};
  const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
  // A writer that finished between our open and our lock has renamed this file to its published name.
  if (!locked || ::fstat(file.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
      opened.st_ino != named.st_ino)
    throw DataError("{}: another process is writing this data set", path.string());
  if (::ftruncate(file.get(), 0) != 0)
    throw StorageError("{}: truncate failed: {}", path.string(), errno_message(errno));
  return file;
}

template <typename T>
void append_values(std::vector<std::byte>& bytes, std::span<const T> values) {
  const auto raw = std::as_bytes(values);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

template <typename T>
void append_value(std::vector<std::byte>& bytes, T value) {
  append_values(bytes, std::span<const T>(&value, 1));
}

}  // namespace

struct IndexedDatasetWriter::State {
  std::filesystem::path prefix;
  std::filesystem::path bin_partial;
  std::filesystem::path idx_partial;
  std::int64_t vocabulary_size = 0;
  int type = 0;
  FileDescriptor bin;
  bool published = false;
  std::vector<std::byte> pending;
  std::vector<std::int32_t> lengths;

  void flush() {
    write_all(bin.get(), pending, bin_partial);
    pending.clear();
  }

  std::vector<std::byte> index() const {
    std::vector<std::byte> bytes;
    bytes.reserve(indexed::kHeaderBytes + 20 * lengths.size() + 8);
    append_values(bytes, std::span(indexed::kMagic));
    append_value(bytes, indexed::kVersion);
    append_value(bytes, static_cast<std::uint8_t>(type));
    append_value(bytes, static_cast<std::uint64_t>(lengths.size()));
    append_value(bytes, static_cast<std::uint64_t>(lengths.size() + 1));
    append_values(bytes, std::span<const std::int32_t>(lengths));
    std::int64_t offset = 0;
    for (const std::int32_t length : lengths) {
      append_value(bytes, offset);
      offset += length * indexed::token_bytes(type);
    }
    for (std::int64_t boundary = 0; boundary <= static_cast<std::int64_t>(lengths.size()); ++boundary)
      append_value(bytes, boundary);
    return bytes;
  }
};

IndexedDatasetWriter::IndexedDatasetWriter(const std::filesystem::path& prefix, std::int64_t vocabulary_size)
    : state_(std::make_unique<State>()) {
  state_->prefix = prefix;
  state_->bin_partial = indexed::with_ending(prefix, ".bin.partial");
  state_->idx_partial = indexed::with_ending(prefix, ".idx.partial");
  state_->vocabulary_size = vocabulary_size;
  state_->type = vocabulary_size < indexed::kSmallestWideVocabulary ? indexed::kUint16 : indexed::kInt32;
  state_->bin = open_locked(state_->bin_partial);
}

IndexedDatasetWriter::~IndexedDatasetWriter() {
  if (state_->published) return;
  ::unlink(state_->idx_partial.c_str());
  ::unlink(state_->bin_partial.c_str());
}

void IndexedDatasetWriter::add_document(std::span<const std::int32_t> tokens) {
  if (tokens.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    throw DataError("{}: document {} has {} tokens; the format's lengths are 32 bits wide", state_->prefix.string(),
                    state_->lengths.size(), tokens.size());
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= state_->vocabulary_size)
      throw DataError("{}: document {} has token {}, but the vocabulary has ids 0 to {}", state_->prefix.string(),
                      state_->lengths.size(), token, state_->vocabulary_size - 1);
    if (state_->type == indexed::kUint16)
      append_value(state_->pending, static_cast<std::uint16_t>(token));
    else
      append_value(state_->pending, token);
  }
  state_->lengths.push_back(static_cast<std::int32_t>(tokens.size()));
  if (state_->pending.size() >= kFlushBytes) state_->flush();
}

void IndexedDatasetWriter::finish() {
  state_->flush();
  sync_file(state_->bin.get(), state_->bin_partial);
  {
    const FileDescriptor idx = open_file(state_->idx_partial, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(idx.get(), state_->index(), state_->idx_partial);
    sync_file(idx.get(), state_->idx_partial);
  }
  // An old index must never stand beside the new tokens.
  std::filesystem::remove(indexed::index_path(state_->prefix));
  std::filesystem::remove(indexed::checksums_path(state_->prefix));
  rename_durably(state_->bin_partial, indexed::tokens_path(state_->prefix));
  rename_durably(state_->idx_partial, indexed::index_path(state_->prefix));
  state_->published = true;
}

}  // namespace stoa::trainer
