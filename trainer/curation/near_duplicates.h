#pragma once
/// Removal of near-duplicate documents: MinHash signatures (Broder 1997, "On the resemblance and containment of
/// documents") and an index of them by locality-sensitive hashing (Leskovec, Rajaraman, Ullman, "Mining of Massive
/// Datasets", chapter 3). A signature is made by any thread; the index is fed by one, in the order of the documents:
///
///   NearDuplicateSignatures signatures(settings);
///   NearDuplicateIndex index(settings);
///   ... in any thread:    const NearDuplicateSignature signature = signatures.signature(text);
///   ... in order, by one: if (const auto earlier = index.add(signature)) drop it as a duplicate of document *earlier
///
/// The resemblance of two documents is the Jaccard similarity of their sets of shingles: each run of `shingle_words`
/// words, case of ASCII letters and everything that is no word set aside (near_duplicates_words.h). A document of fewer
/// words is one shingle. One without words has no shingles, resembles nothing and is never dropped here.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "stoa/trainer/curation/near_duplicates_bands.h"
#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer {

struct NearDuplicateSettings {
  int shingle_words = 5;  ///< 1 .. 64
  /// Minima of a signature, 16 .. 1024. The standard error of the estimated similarity is sqrt(s (1 - s) /
  /// permutations).
  int permutations = 128;
  double threshold = 0.8;  ///< of the estimated similarity, at which a document is a duplicate; 0.3 .. 1
  std::uint64_t seed = 1;  ///< of the words' hash and of the permutations
};

/// ConfigError with the value and its range.
void validate(const NearDuplicateSettings& settings);

/// What an index keeps of a document. Empty where the document has no word.
struct NearDuplicateSignature {
  std::vector<std::uint8_t> minima;  ///< 8 bits of each minimum: equal with probability s + (1 - s) / 256
  std::vector<std::uint64_t> bands;  ///< a hash of each band's whole minima
  bool operator==(const NearDuplicateSignature&) const = default;
};

/// Makes signatures. They depend on text and settings alone, not on threads and not on the instruction set.
class NearDuplicateSignatures {
 public:
  /// Throws as `validate` does.
  explicit NearDuplicateSignatures(const NearDuplicateSettings& settings, cpu::Isa isa = cpu::detected_isa());

  /// Time linear in the text, memory independent of it. Any bytes; called by any number of threads at once.
  NearDuplicateSignature signature(std::string_view text) const;

 private:
  NearDuplicateSettings settings_;
  NearDuplicateBands bands_;
  cpu::Isa isa_;
  std::vector<std::uint32_t> factors_, terms_;  // minimum i is over factors_[i] * shingle + terms_[i]
};

/// Documents kept so far. The first of several near-duplicates wins; a document resembling only a dropped one is kept.
/// Documents that share a band are compared by their minima, so bands alone drop nothing: a pair of similarity s is
/// found with `near_duplicate_probability` of near_duplicates_bands.h. Where 64 kept documents share a band's key
/// already (a template filled in many ways), later ones are not found by that band: the time of `add` is bounded.
///
/// Memory of a kept document: `permutations` bytes of minima, 8 for its number and 11 to 22 for each band (128
/// permutations at 0.8: 16 bands, 310 to 480 bytes); of a dropped one: none. Growth moves 1/256 of a band's table at a
/// time, so there is no moment of double memory. Not for several threads.
class NearDuplicateIndex {
 public:
  /// Throws as `validate` does.
  explicit NearDuplicateIndex(const NearDuplicateSettings& settings);
  NearDuplicateIndex(NearDuplicateIndex&&) noexcept;
  NearDuplicateIndex& operator=(NearDuplicateIndex&&) noexcept;
  ~NearDuplicateIndex();

  /// The document with the next number (0, 1, ...). Returns the lowest number among the kept documents that it
  /// duplicates, or nothing and keeps it. REQUIRES: a signature of the same settings. ResourceError beyond 2^32 - 2
  /// kept documents.
  std::optional<std::uint64_t> add(const NearDuplicateSignature& signature);

  std::uint64_t documents() const;  ///< added
  std::uint64_t kept() const;       ///< those without a word included
  std::uint64_t memory_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
