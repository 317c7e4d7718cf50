#pragma once
/// Megatron's indexed data set: PREFIX.idx (little-endian: magic "MMIDIDX\0\0", version, dtype, lengths, offsets,
/// document boundaries) and PREFIX.bin (tokens back to back), byte for byte.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/durable_file.h"

namespace stoa::trainer {

/// A read-only, memory-mapped data set. Any thread may read. Opening checks magic, version, type, sizes of both files,
/// that offsets are the prefix sums of lengths, and that document boundaries ascend to the number of sequences; a
/// DataError names the file, the byte and the values. Types 1-5 and 8 (u8 i8 i16 i32 i64 u16) are read; 6 and 7
/// (floats, which two systems number differently) are refused.
class IndexedDataset {
 public:
  explicit IndexedDataset(const std::filesystem::path& prefix);

  std::int64_t documents() const { return static_cast<std::int64_t>(document_tokens_begin_.size()) - 1; }
  std::int64_t tokens() const { return document_tokens_begin_.back(); }
  /// First token of document d in the whole stream; documents() + 1 entries.
  std::int64_t document_begin(std::int64_t document) const {
    return document_tokens_begin_[static_cast<std::size_t>(document)];
  }
  std::int64_t document_size(std::int64_t document) const {
    return document_begin(document + 1) - document_begin(document);
  }

  /// Tokens [begin, begin + out.size()) of the stream, widened. REQUIRES: inside the data set.
  void read(std::int64_t begin, std::span<std::int32_t> out) const;

  /// Reads every token: DataError where one is outside 0..vocabulary_size-1, naming the first one's position and
  /// document.
  void verify_tokens(std::int64_t vocabulary_size, int threads = 1) const;

  /// 1-5 or 8 of indexed_dataset_format.h.
  int type() const { return dtype_; }
  /// .bin as it lies on disk.
  std::span<const std::byte> token_bytes() const { return bin_.bytes(); }

  const std::filesystem::path& prefix() const { return prefix_; }

 private:
  std::filesystem::path prefix_;
  MappedFile bin_;
  int dtype_ = 0;
  std::vector<std::int64_t> document_tokens_begin_;
};

/// Writes PREFIX.bin and PREFIX.idx beside their names and publishes both by rename in finish() (.bin first): a data
/// set with an .idx is whole. u16 where vocabulary_size < 65500, else i32, as Megatron chooses. A second writer of the
/// same prefix is a DataError; without finish() nothing is left behind.
class IndexedDatasetWriter {
 public:
  IndexedDatasetWriter(const std::filesystem::path& prefix, std::int64_t vocabulary_size);
  ~IndexedDatasetWriter();
  /// One document is one sequence. DataError for an id outside 0..vocabulary_size-1.
  void add_document(std::span<const std::int32_t> tokens);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// xxh3-128 of PREFIX.bin and PREFIX.idx, of each 64 MiB, in PREFIX.checksums.json (`stoa data verify` compares).
void write_checksums(const std::filesystem::path& prefix, int threads = 1);
/// DataError where a file differs, naming its bytes; false where there is no sidecar.
bool verify_checksums(const std::filesystem::path& prefix, int threads = 1);

}  // namespace stoa::trainer
