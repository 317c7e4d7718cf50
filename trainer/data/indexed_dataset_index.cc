#include "stoa/trainer/data/indexed_dataset_index.h"

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {

using indexed::value_at;

MappedFile map_part_of_dataset(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    throw DataError("{}: no such file; a data set is PREFIX.idx and PREFIX.bin", path.string());
  return MappedFile(path);
}

DatasetIndex::DatasetIndex(const std::filesystem::path& prefix)
    : file_(map_part_of_dataset(indexed::index_path(prefix))), bytes_(file_.bytes().data()) {
  check_header();
  check_size();
}

bool DatasetIndex::has_modes() const {
  return size() == indexed::kHeaderBytes + 12 * sequences_ + 8 * boundaries_ + sequences_ && sequences_ > 0;
}

std::int32_t DatasetIndex::sequence_size(std::int64_t sequence) const {
  return value_at<std::int32_t>(bytes_, indexed::kHeaderBytes + 4 * static_cast<std::size_t>(sequence));
}

std::int64_t DatasetIndex::sequence_at(std::int64_t sequence) const {
  return value_at<std::int64_t>(bytes_,
                                indexed::kHeaderBytes + 4 * sequences_ + 8 * static_cast<std::size_t>(sequence));
}

std::int64_t DatasetIndex::first_sequence(std::int64_t document) const {
  return value_at<std::int64_t>(bytes_,
                                indexed::kHeaderBytes + 12 * sequences_ + 8 * static_cast<std::size_t>(document));
}

std::vector<std::int64_t> DatasetIndex::document_begins(std::uint64_t bin_bytes) const {
  std::vector<std::int64_t> begins;
  begins.reserve(boundaries_);
  std::int64_t tokens = 0;
  std::uint64_t sequence = 0;
  for (std::uint64_t entry = 0; entry < boundaries_; ++entry) {
    const std::uint64_t boundary = checked_boundary(entry, sequence);
    for (; sequence < boundary; ++sequence) tokens += checked_length(sequence, tokens);
    begins.push_back(tokens);
  }
  const std::int64_t expected = tokens * indexed::token_bytes(type_);
  if (static_cast<std::uint64_t>(expected) != bin_bytes)
    throw DataError("{}: {} tokens of {} bytes are {} bytes, but the .bin beside it has {}", name(), tokens,
                    indexed::token_bytes(type_), expected, bin_bytes);
  return begins;
}

void DatasetIndex::check_header() {
  if (size() < indexed::kHeaderBytes)
    throw DataError("{}: {} bytes are fewer than the header's {}", name(), size(), indexed::kHeaderBytes);
  if (file_.text().substr(0, indexed::kMagic.size()) != indexed::kMagic)
    throw DataError("{}: byte 0: not an index of Megatron's format (it starts with \"MMIDIDX\\0\\0\")", name());
  const auto version = value_at<std::uint64_t>(bytes_, indexed::kVersionAt);
  if (version != indexed::kVersion)
    throw DataError("{}: byte {}: version {}, but {} is the one known", name(), indexed::kVersionAt, version,
                    indexed::kVersion);
  type_ = value_at<std::uint8_t>(bytes_, indexed::kTypeAt);
  if (type_ == 6 || type_ == 7)
    throw DataError("{}: byte {}: type {} is a float, which is no token", name(), indexed::kTypeAt, type_);
  if (indexed::token_bytes(type_) == 0)
    throw DataError("{}: byte {}: type {} is unknown (1 to 5 and 8 are read)", name(), indexed::kTypeAt, type_);
}

void DatasetIndex::check_size() {
  sequences_ = value_at<std::uint64_t>(bytes_, indexed::kSequencesAt);
  boundaries_ = value_at<std::uint64_t>(bytes_, indexed::kBoundariesAt);
  const std::uint64_t room = size() - indexed::kHeaderBytes;
  // Both counts are bounded by the file before anything is computed from them: no overflow, no allocation of a
  // claimed size.
  if (sequences_ > room / 12)
    throw DataError("{}: byte {}: {} sequences do not fit in {} bytes", name(), indexed::kSequencesAt, sequences_,
                    size());
  if (boundaries_ > room / 8 || boundaries_ == 0)
    throw DataError("{}: byte {}: {} document boundaries in {} bytes (at least 1, and 8 bytes each)", name(),
                    indexed::kBoundariesAt, boundaries_, size());
  const std::uint64_t needed = 12 * sequences_ + 8 * boundaries_;
  if (room != needed && room != needed + sequences_)
    throw DataError("{}: {} sequences and {} document boundaries need {} bytes ({} with modes), but the file has {}",
                    name(), sequences_, boundaries_, needed + indexed::kHeaderBytes,
                    needed + indexed::kHeaderBytes + sequences_, size());
}

std::uint64_t DatasetIndex::checked_boundary(std::uint64_t entry, std::uint64_t least) const {
  const std::size_t at = indexed::kHeaderBytes + 12 * sequences_ + 8 * entry;
  const auto boundary = value_at<std::int64_t>(bytes_, at);
  const bool first = entry == 0;
  const bool last = entry + 1 == boundaries_;
  if (boundary < 0 || static_cast<std::uint64_t>(boundary) < least ||
      static_cast<std::uint64_t>(boundary) > sequences_ || (first && boundary != 0) ||
      (last && static_cast<std::uint64_t>(boundary) != sequences_))
    throw DataError(
        "{}: byte {}: document boundary {} is {}; boundaries ascend from 0 to {} sequences (the one before: {})",
        name(), at, entry, boundary, sequences_, least);
  return static_cast<std::uint64_t>(boundary);
}

std::int32_t DatasetIndex::checked_length(std::uint64_t sequence, std::int64_t tokens_before) const {
  const std::size_t length_at = indexed::kHeaderBytes + 4 * sequence;
  const std::size_t offset_at = indexed::kHeaderBytes + 4 * sequences_ + 8 * sequence;
  const auto length = value_at<std::int32_t>(bytes_, length_at);
  const auto offset = value_at<std::int64_t>(bytes_, offset_at);
  if (length < 0) throw DataError("{}: byte {}: sequence {} has length {}", name(), length_at, sequence, length);
  const std::int64_t expected = tokens_before * indexed::token_bytes(type_);
  if (offset != expected)
    throw DataError("{}: byte {}: sequence {} starts at byte {} of .bin, but the sequences before it end at {}", name(),
                    offset_at, sequence, offset, expected);
  return length;
}

}  // namespace stoa::trainer
