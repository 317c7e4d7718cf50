#include <fcntl.h>
#include <unistd.h>

#include <limits>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_files.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kFlushBytes = 1 << 20;

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
};

IndexedDatasetWriter::IndexedDatasetWriter(const std::filesystem::path& prefix, std::int64_t vocabulary_size)
    : state_(std::make_unique<State>()) {
  state_->prefix = prefix;
  state_->bin_partial = indexed::with_ending(prefix, ".bin.partial");
  state_->idx_partial = indexed::with_ending(prefix, ".idx.partial");
  state_->vocabulary_size = vocabulary_size;
  state_->type = vocabulary_size < indexed::kSmallestWideVocabulary ? indexed::kUint16 : indexed::kInt32;
  state_->bin = open_locked(state_->bin_partial);
  if (::ftruncate(state_->bin.get(), 0) != 0)
    throw StorageError("{}: truncate failed: {}", state_->bin_partial.string(), errno_message(errno));
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
  const auto documents = static_cast<std::int64_t>(state_->lengths.size());
  write_index(state_->idx_partial,
              {state_->type, documents, documents,
               [&](std::int64_t document) { return state_->lengths[static_cast<std::size_t>(document)]; },
               [](std::int64_t document) { return document; }});
  // An old index must never stand beside the new tokens.
  std::filesystem::remove(indexed::index_path(state_->prefix));
  std::filesystem::remove(indexed::checksums_path(state_->prefix));
  rename_durably(state_->bin_partial, indexed::tokens_path(state_->prefix));
  rename_durably(state_->idx_partial, indexed::index_path(state_->prefix));
  state_->published = true;
}

}  // namespace stoa::trainer
