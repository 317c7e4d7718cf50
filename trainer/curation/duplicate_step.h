#pragma once
/// Steps that need the order of documents: the first of several duplicates stays. A mark is made of each document by
/// any thread; whether it was seen is asked in the order of the documents.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "stoa/base/checksum.h"
#include "stoa/trainer/curation/near_duplicates.h"

namespace stoa::trainer {

/// What a duplicate step remembers of a document until its turn comes; each step uses its own part.
struct DuplicateMark {
  Hash128 hash;
  NearDuplicateSignature signature;
};

class DuplicateStep {
 public:
  virtual ~DuplicateStep() = default;
  virtual std::string_view reason() const = 0;
  /// Any thread.
  virtual void mark(std::string_view text, DuplicateMark& mark) const = 0;
  /// Whether an earlier document has this mark or one near it; if not, it is remembered. One thread at a time.
  virtual bool was_seen(const DuplicateMark& mark) = 0;
  virtual std::uint64_t memory_bytes() const = 0;
};

/// How two documents must agree to be exact duplicates.
enum class TextForm {
  kBytes,  ///< byte for byte
  kFolded  ///< with each run of spaces (text_units.h) as one, none at the ends, and ASCII letters small
};

struct ExactDuplicateSettings {
  TextForm compare = TextForm::kFolded;
};

std::string folded(std::string_view text);

/// 128 bits of XXH3 a document: among 10^10 documents a pair of different ones is taken for duplicates with probability
/// 1.5 * 10^-19. Memory: 21 to 43 bytes a document that was kept, and 1.5 times as much while the table grows.
std::unique_ptr<DuplicateStep> exact_duplicates(const ExactDuplicateSettings& settings);
/// Memory: NearDuplicateIndex.
std::unique_ptr<DuplicateStep> near_duplicates(const NearDuplicateSettings& settings);

}  // namespace stoa::trainer
