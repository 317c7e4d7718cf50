#pragma once
/// The .idx of a data set, mapped and checked: sequences and the documents they make up. IndexedDataset folds the
/// sequences of a document into one; what copies data sets keeps them.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "stoa/base/durable_file.h"

namespace stoa::trainer {

/// Any thread may read. Opening checks header and sizes (a DataError names file, byte and values);
/// document_begins() checks the rest, and lengths and boundaries are to be believed after it only.
class DatasetIndex {
 public:
  explicit DatasetIndex(const std::filesystem::path& prefix);

  /// 1-5 or 8 of indexed_dataset_format.h.
  int type() const { return type_; }
  std::int64_t sequences() const { return static_cast<std::int64_t>(sequences_); }
  std::int64_t documents() const { return static_cast<std::int64_t>(boundaries_) - 1; }
  /// Whether each sequence has a mode (multimodal data sets).
  bool has_modes() const;
  std::int64_t bytes() const { return static_cast<std::int64_t>(file_.bytes().size()); }

  /// Tokens of a sequence, and its first byte in .bin.
  std::int32_t sequence_size(std::int64_t sequence) const;
  std::int64_t sequence_at(std::int64_t sequence) const;
  /// documents() + 1 entries, from 0 to sequences().
  std::int64_t first_sequence(std::int64_t document) const;

  /// Checks lengths, offsets and boundaries against each other and the size of .bin; returns the first token of each
  /// document and the end.
  std::vector<std::int64_t> document_begins(std::uint64_t bin_bytes) const;

 private:
  std::string name() const { return file_.path().string(); }
  std::size_t size() const { return file_.bytes().size(); }
  void check_header();
  void check_size();
  std::uint64_t checked_boundary(std::uint64_t entry, std::uint64_t least) const;
  std::int32_t checked_length(std::uint64_t sequence, std::int64_t tokens_before) const;

  MappedFile file_;
  const std::byte* bytes_;
  int type_ = 0;
  std::uint64_t sequences_ = 0;
  std::uint64_t boundaries_ = 0;
};

/// DataError where there is no such file.
MappedFile map_part_of_dataset(const std::filesystem::path& path);

}  // namespace stoa::trainer
