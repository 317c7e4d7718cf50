#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "stoa/base/error.h"
#include "stoa/trainer/curation/near_duplicates.h"
#include "stoa/trainer/curation/near_duplicates_minima.h"
#include "stoa/trainer/curation/near_duplicates_words.h"

namespace stoa::trainer {
namespace {

constexpr int kMostShingleWords = 64, kLeastPermutations = 16, kMostPermutations = 1024;
constexpr double kLeastThreshold = 0.3;
constexpr std::uint64_t kRoll = 0xd6e8feb86659fd93u;  // odd, the base of the polynomial of a shingle's words

std::size_t padded(int permutations) {
  return (static_cast<std::size_t>(permutations) + kMinimaBlock - 1) / kMinimaBlock * kMinimaBlock;
}

// Hashes of shingles, gathered so that the minima stay in registers over many of them.
class Shingles {
 public:
  explicit Shingles(int words) : words_(static_cast<std::size_t>(words)) {
    for (int i = 0; i < words; ++i) oldest_factor_ *= kRoll;
  }

  // The words' polynomial in kRoll modulo 2^64: the oldest leaves, the new one enters.
  void add_word(std::uint64_t hash) {
    const std::size_t slot = slot_;
    slot_ = slot_ + 1 == words_ ? 0 : slot_ + 1;
    sum_ = sum_ * kRoll + hash - recent_[slot] * oldest_factor_;
    recent_[slot] = hash;
    if (++seen_ >= words_) gathered_[gathered_count_++] = hash_of(words_);
  }
  void add_short_document() { gathered_[gathered_count_++] = hash_of(seen_); }

  bool full() const { return gathered_count_ == gathered_.size(); }
  std::size_t words_seen() const { return seen_; }
  std::span<const std::uint32_t> gathered() const { return std::span(gathered_).first(gathered_count_); }
  void forget_gathered() { gathered_count_ = 0; }

 private:
  std::uint32_t hash_of(std::size_t words) const { return static_cast<std::uint32_t>(mixed(sum_ + words) >> 32); }

  std::size_t words_, slot_ = 0, seen_ = 0, gathered_count_ = 0;
  std::uint64_t sum_ = 0, oldest_factor_ = 1;
  std::array<std::uint64_t, kMostShingleWords> recent_{};
  std::array<std::uint32_t, 256> gathered_;  // the first gathered_count_ are set
};

NearDuplicateSignature folded(std::span<const std::uint32_t> minima, NearDuplicateBands bands) {
  NearDuplicateSignature signature;
  signature.minima.reserve(minima.size());
  for (const std::uint32_t minimum : minima)
    signature.minima.push_back(static_cast<std::uint8_t>(mixed(minimum) >> 56));
  signature.bands.reserve(static_cast<std::size_t>(bands.bands));
  for (int band = 0; band < bands.bands; ++band) {
    std::uint64_t key = 0;
    for (int row = 0; row < bands.rows; ++row)
      key = mixed(key + minima[static_cast<std::size_t>(band * bands.rows + row)] + 1);
    signature.bands.push_back(key);
  }
  return signature;
}

}  // namespace

void validate(const NearDuplicateSettings& settings) {
  if (settings.shingle_words < 1 || settings.shingle_words > kMostShingleWords)
    throw ConfigError("near duplicates: shingle_words {} is not in 1 .. {}", settings.shingle_words, kMostShingleWords);
  if (settings.permutations < kLeastPermutations || settings.permutations > kMostPermutations)
    throw ConfigError("near duplicates: permutations {} is not in {} .. {}", settings.permutations, kLeastPermutations,
                      kMostPermutations);
  if (!(settings.threshold >= kLeastThreshold && settings.threshold <= 1))
    throw ConfigError("near duplicates: threshold {} is not in {} .. 1", settings.threshold, kLeastThreshold);
}

NearDuplicateSignatures::NearDuplicateSignatures(const NearDuplicateSettings& settings, cpu::Isa isa)
    : settings_(settings), bands_(), isa_(isa) {
  validate(settings);
  bands_ = near_duplicate_bands(settings.permutations, settings.threshold);
  std::uint64_t state = mixed(settings.seed);
  for (std::size_t i = 0; i < padded(settings.permutations); ++i) {
    state += 0x9e3779b97f4a7c15u;
    const std::uint64_t bits = mixed(state);
    factors_.push_back(static_cast<std::uint32_t>(bits) | 1);
    terms_.push_back(static_cast<std::uint32_t>(bits >> 32));
  }
}

NearDuplicateSignature NearDuplicateSignatures::signature(std::string_view text) const {
  std::array<std::uint32_t, kMostPermutations> storage;
  const std::span minima = std::span(storage).first(factors_.size());
  std::fill(minima.begin(), minima.end(), std::numeric_limits<std::uint32_t>::max());
  Shingles shingles(settings_.shingle_words);
  const auto flush = [&] {
    lower_minima(isa_, shingles.gathered(), factors_, terms_, minima);
    shingles.forget_gathered();
  };
  for_each_word(text, mixed(settings_.seed + 1), [&](std::uint64_t hash) {
    shingles.add_word(hash);
    if (shingles.full()) flush();
  });
  if (shingles.words_seen() == 0) return {};
  if (shingles.words_seen() < static_cast<std::size_t>(settings_.shingle_words)) shingles.add_short_document();
  flush();
  return folded(minima.first(static_cast<std::size_t>(settings_.permutations)), bands_);
}

}  // namespace stoa::trainer
