#pragma once
/// The seam between the engine (curate.h) and the steps that look at one document at a time. A step that needs the
/// order of documents is a DuplicateStep (duplicate_step.h).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stoa::trainer {

/// On its way through the steps.
class Document {
 public:
  /// Borrows the text.
  explicit Document(std::string_view original = {}) : original_(original) {}
  /// As the steps so far left it; until the next replace.
  std::string_view text() const { return changed_ ? std::string_view(*changed_) : original_; }
  void replace(std::string text) { changed_ = std::move(text); }
  bool is_changed() const { return changed_.has_value(); }

  std::string language;  ///< ISO 639-1, where a step looked

 private:
  std::string_view original_;
  std::optional<std::string> changed_;
};

/// What a step did to a document.
struct Outcome {
  enum class Kind : std::uint8_t { kKept, kChanged, kDropped };
  struct Count {
    std::uint32_t reason;
    std::int64_t places;
  };
  Kind kind = Kind::kKept;
  std::uint32_t reasons = 0;    ///< bit r: reasons()[r] holds; one bit where the document was dropped
  std::size_t at = 0;           ///< byte of the text after the step where it first differs from before
  std::vector<Count> replaced;  ///< places of the text that were replaced or removed
};

template <typename Reason>
Outcome dropped(Reason reason) {
  return {.kind = Outcome::Kind::kDropped, .reasons = std::uint32_t{1} << static_cast<std::uint32_t>(reason)};
}

class DocumentStep {
 public:
  virtual ~DocumentStep() = default;
  /// Names of the reasons, at most 32.
  virtual std::span<const std::string_view> reasons() const = 0;
  /// The outcome depends on the text and the settings alone. One thread at a time: memory may be kept between calls.
  /// REQUIRES: valid UTF-8.
  virtual Outcome apply(Document& document) = 0;
};

}  // namespace stoa::trainer
