#include "stoa/trainer/data/indexed_dataset.h"

#include <algorithm>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

using indexed::value_at;

MappedFile map_existing(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    throw DataError("{}: no such file; a data set is PREFIX.idx and PREFIX.bin", path.string());
  return MappedFile(path);
}

/// The parsed and checked .idx.
class Index {
 public:
  explicit Index(const std::filesystem::path& path) : file_(map_existing(path)), bytes_(file_.bytes().data()) {
    check_header();
    check_size();
  }

  int type() const { return type_; }

  /// Checks lengths, offsets and boundaries against each other and the size of .bin; returns the first token of each
  /// document and the end.
  std::vector<std::int64_t> document_begins(std::uint64_t bin_bytes) const {
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

 private:
  std::string name() const { return file_.path().string(); }
  std::size_t size() const { return file_.bytes().size(); }

  void check_header() {
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

  void check_size() {
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

  std::uint64_t checked_boundary(std::uint64_t entry, std::uint64_t least) const {
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

  std::int32_t checked_length(std::uint64_t sequence, std::int64_t tokens_before) const {
    const std::size_t length_at = indexed::kHeaderBytes + 4 * sequence;
    const std::size_t offset_at = indexed::kHeaderBytes + 4 * sequences_ + 8 * sequence;
    const auto length = value_at<std::int32_t>(bytes_, length_at);
    const auto offset = value_at<std::int64_t>(bytes_, offset_at);
    if (length < 0) throw DataError("{}: byte {}: sequence {} has length {}", name(), length_at, sequence, length);
    const std::int64_t expected = tokens_before * indexed::token_bytes(type_);
    if (offset != expected)
      throw DataError("{}: byte {}: sequence {} starts at byte {} of .bin, but the sequences before it end at {}",
                      name(), offset_at, sequence, offset, expected);
    return length;
  }

  MappedFile file_;
  const std::byte* bytes_;
  int type_ = 0;
  std::uint64_t sequences_ = 0;
  std::uint64_t boundaries_ = 0;
};

template <typename T>
void widen(const std::byte* from, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::int32_t>(value_at<T>(from, i * sizeof(T)));
}

void narrow(const std::byte* from, std::int64_t first, const std::string& name, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto token = value_at<std::int64_t>(from, i * sizeof(std::int64_t));
    if (token < std::numeric_limits<std::int32_t>::min() || token > std::numeric_limits<std::int32_t>::max())
      throw DataError("{}: byte {}: token {} is no 32-bit number", name, (first + static_cast<std::int64_t>(i)) * 8,
                      token);
    out[i] = static_cast<std::int32_t>(token);
  }
}

}  // namespace

IndexedDataset::IndexedDataset(const std::filesystem::path& prefix) : prefix_(prefix) {
  const Index index(indexed::index_path(prefix));
  bin_ = map_existing(indexed::tokens_path(prefix));
  dtype_ = index.type();
  document_tokens_begin_ = index.document_begins(bin_.bytes().size());
}

void IndexedDataset::read(std::int64_t begin, std::span<std::int32_t> out) const {
  const std::byte* from = bin_.bytes().data() + begin * indexed::token_bytes(dtype_);
  switch (dtype_) {
    case 1:
      return widen<std::uint8_t>(from, out);
    case 2:
      return widen<std::int8_t>(from, out);
    case 3:
      return widen<std::int16_t>(from, out);
    case 4:
      return widen<std::int32_t>(from, out);
    case 8:
      return widen<std::uint16_t>(from, out);
    default:
      return narrow(from, begin, bin_.path().string(), out);
  }
}

void IndexedDataset::verify_tokens(std::int64_t vocabulary_size) const {
  std::vector<std::int32_t> part;
  for (std::int64_t begin = 0; begin < tokens(); begin += static_cast<std::int64_t>(part.size())) {
    part.resize(static_cast<std::size_t>(std::min<std::int64_t>(tokens() - begin, 65536)));
    read(begin, part);
    const auto bad =
        std::find_if(part.begin(), part.end(), [&](std::int32_t id) { return id < 0 || id >= vocabulary_size; });
    if (bad == part.end()) continue;
    const std::int64_t position = begin + (bad - part.begin());
    const auto after = std::upper_bound(document_tokens_begin_.begin(), document_tokens_begin_.end(), position);
    throw DataError("{}: byte {}: token {} of document {} is {}, but the vocabulary has ids 0 to {}",
                    bin_.path().string(), position * indexed::token_bytes(dtype_), position,
                    after - document_tokens_begin_.begin() - 1, *bad, vocabulary_size - 1);
  }
}

}  // namespace stoa::trainer
