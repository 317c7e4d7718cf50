#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/curation/near_duplicates.h"

namespace stoa::trainer {
namespace {

// Documents kept in memory, `permutations` bytes and a number each, in blocks that never move.
class KeptDocuments {
 public:
  explicit KeptDocuments(int permutations) : permutations_(static_cast<std::size_t>(permutations)) {}

  std::uint32_t add(std::uint64_t number, std::span<const std::uint8_t> minima) {
    if (size_ == std::numeric_limits<std::uint32_t>::max() - 1)
      throw ResourceError("near duplicates: {} documents are kept, and the index numbers no more: divide the input",
                          size_);
    if (size_ % kBlock == 0) blocks_.push_back(std::make_unique<std::uint8_t[]>(kBlock * record_bytes()));
    std::uint8_t* const record = record_of(size_);
    std::memcpy(record, &number, sizeof number);
    std::memcpy(record + sizeof number, minima.data(), permutations_);
    return size_++;
  }
  std::uint64_t number(std::uint32_t document) const {
    std::uint64_t number = 0;
    std::memcpy(&number, record_of(document), sizeof number);
    return number;
  }
  int equal_minima(std::uint32_t document, std::span<const std::uint8_t> minima) const {
    const std::uint8_t* const kept = record_of(document) + sizeof(std::uint64_t);
    int equal = 0;
    for (std::size_t i = 0; i < permutations_; ++i) equal += kept[i] == minima[i];
    return equal;
  }
  std::uint64_t memory_bytes() const { return blocks_.size() * kBlock * record_bytes(); }

 private:
  static constexpr std::uint32_t kBlock = 1024;
  std::size_t record_bytes() const { return sizeof(std::uint64_t) + permutations_; }
  std::uint8_t* record_of(std::uint32_t document) const {
    return blocks_[document / kBlock].get() + document % kBlock * record_bytes();
  }

  std::size_t permutations_;
  std::uint32_t size_ = 0;
  std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;
};

// A part of one band's table: open addressing by 32 bits of the key, no removal, at most 3/4 full.
class BandPart {
 public:
  // Appends the documents of this key to `found` and returns how many they are.
  int find(std::uint32_t key, std::vector<std::uint32_t>& found) const {
    int count = 0;
    if (entries_.empty()) return count;
    for (std::size_t slot = slot_of(key); entries_[slot].document != kNone; slot = next(slot)) {
      if (entries_[slot].key != key) continue;
      found.push_back(entries_[slot].document);
      ++count;
    }
    return count;
  }
  void insert(std::uint32_t key, std::uint32_t document) {
    if (4 * (count_ + 1) > 3 * entries_.size()) grow();
    place({key, document});
    ++count_;
  }
  std::uint64_t memory_bytes() const { return entries_.size() * sizeof(Entry); }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  struct Entry {
    std::uint32_t key = 0, document = kNone;
  };
  std::size_t slot_of(std::uint32_t key) const { return key & (entries_.size() - 1); }
  std::size_t next(std::size_t slot) const { return (slot + 1) & (entries_.size() - 1); }
  void place(Entry entry) {
    std::size_t slot = slot_of(entry.key);
    while (entries_[slot].document != kNone) slot = next(slot);
    entries_[slot] = entry;
  }
  void grow() {
    std::vector<Entry> before(std::max<std::size_t>(8, 2 * entries_.size()));
    entries_.swap(before);
    for (const Entry& entry : before)
      if (entry.document != kNone) place(entry);
  }

  std::vector<Entry> entries_;
  std::size_t count_ = 0;
};

constexpr std::size_t kParts = 256;
constexpr int kMostOfKey = 64;

}  // namespace

struct NearDuplicateIndex::State {
  explicit State(const NearDuplicateSettings& settings)
      : permutations(static_cast<std::size_t>(settings.permutations)),
        bands(static_cast<std::size_t>(near_duplicate_bands(settings.permutations, settings.threshold).bands)),
        least_equal(least_equal_minima(settings.permutations, settings.threshold)),
        documents_kept(settings.permutations),
        parts(bands * kParts) {}

  BandPart& part(std::size_t band, std::uint64_t key) { return parts[band * kParts + (key >> 56)]; }

  std::size_t permutations, bands;
  int least_equal;
  KeptDocuments documents_kept;
  std::vector<BandPart> parts;  // of band 0, of band 1, ...; a key's high byte is its part
  std::uint64_t documents = 0, kept = 0;
  std::vector<std::uint32_t> candidates;
  std::vector<int> same_key;  // kept documents that share the new one's key, by band
};

NearDuplicateIndex::NearDuplicateIndex(const NearDuplicateSettings& settings)
    : state_((validate(settings), std::make_unique<State>(settings))) {}
NearDuplicateIndex::NearDuplicateIndex(NearDuplicateIndex&&) noexcept = default;
NearDuplicateIndex& NearDuplicateIndex::operator=(NearDuplicateIndex&&) noexcept = default;
NearDuplicateIndex::~NearDuplicateIndex() = default;

std::optional<std::uint64_t> NearDuplicateIndex::add(const NearDuplicateSignature& signature) {
  State& s = *state_;
  if (!signature.minima.empty() && (signature.minima.size() != s.permutations || signature.bands.size() != s.bands))
    throw InternalError("near duplicates: a signature of {} minima in {} bands reached an index of {} in {}",
                        signature.minima.size(), signature.bands.size(), s.permutations, s.bands);
  const std::uint64_t number = s.documents++;
  if (signature.minima.empty()) {
    ++s.kept;
    return std::nullopt;
  }
  s.candidates.clear();
  s.same_key.clear();
  for (std::size_t band = 0; band < s.bands; ++band) {
    const std::uint64_t key = signature.bands[band];
    s.same_key.push_back(s.part(band, key).find(static_cast<std::uint32_t>(key), s.candidates));
  }
  std::sort(s.candidates.begin(), s.candidates.end());
  s.candidates.erase(std::unique(s.candidates.begin(), s.candidates.end()), s.candidates.end());
  for (const std::uint32_t candidate : s.candidates)
    if (s.documents_kept.equal_minima(candidate, signature.minima) >= s.least_equal)
      return s.documents_kept.number(candidate);

  const std::uint32_t document = s.documents_kept.add(number, signature.minima);
  ++s.kept;
  for (std::size_t band = 0; band < s.bands; ++band)
    if (const std::uint64_t key = signature.bands[band]; s.same_key[band] < kMostOfKey)
      s.part(band, key).insert(static_cast<std::uint32_t>(key), document);
  return std::nullopt;
}

std::uint64_t NearDuplicateIndex::documents() const { return state_->documents; }
std::uint64_t NearDuplicateIndex::kept() const { return state_->kept; }

std::uint64_t NearDuplicateIndex::memory_bytes() const {
  std::uint64_t bytes = state_->documents_kept.memory_bytes() + state_->parts.size() * sizeof(BandPart);
  for (const BandPart& part : state_->parts) bytes += part.memory_bytes();
  return bytes;
}

}  // namespace stoa::trainer
