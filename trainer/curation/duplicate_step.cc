#include "stoa/trainer/curation/duplicate_step.h"

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

/// Open addressing; a slot of zeros is free.
class HashSet {
 public:
  /// False where it was there.
  bool insert(Hash128 hash) {
    if (hash == Hash128{}) hash.low = 1;
    if (4 * (entries_ + 1) > 3 * slots_.size()) grow();
    Hash128& slot = slot_of(hash);
    if (slot == hash) return false;
    slot = hash;
    ++entries_;
    return true;
  }
  std::uint64_t memory_bytes() const { return slots_.capacity() * sizeof(Hash128); }

 private:
  Hash128& slot_of(const Hash128& hash) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash.high & mask;
    while (slots_[at] != Hash128{} && slots_[at] != hash) at = (at + 1) & mask;
    return slots_[at];
  }

  void grow() {
    std::vector<Hash128> old(2 * slots_.size());
    old.swap(slots_);
    for (const Hash128& hash : old)
      if (hash != Hash128{}) slot_of(hash) = hash;
  }

  std::vector<Hash128> slots_ = std::vector<Hash128>(1024);
  std::size_t entries_ = 0;
};

class ExactDuplicates final : public DuplicateStep {
 public:
  explicit ExactDuplicates(const ExactDuplicateSettings& settings) : settings_(settings) {}
  std::string_view reason() const override { return "exact_duplicate"; }
  void mark(std::string_view text, DuplicateMark& mark) const override {
    const std::string form = settings_.compare == TextForm::kFolded ? folded(text) : std::string();
    const std::string_view compared = settings_.compare == TextForm::kFolded ? std::string_view(form) : text;
    mark.hash = xxh3_128(std::as_bytes(std::span(compared)));
  }
  bool was_seen(const DuplicateMark& mark) override { return !hashes_.insert(mark.hash); }
  std::uint64_t memory_bytes() const override { return hashes_.memory_bytes(); }

 private:
  ExactDuplicateSettings settings_;
  HashSet hashes_;
};

class NearDuplicates final : public DuplicateStep {
 public:
  explicit NearDuplicates(const NearDuplicateSettings& settings) : signatures_(settings), index_(settings) {}
  std::string_view reason() const override { return "near_duplicate"; }
  void mark(std::string_view text, DuplicateMark& mark) const override { mark.signature = signatures_.signature(text); }
  bool was_seen(const DuplicateMark& mark) override { return index_.add(mark.signature).has_value(); }
  std::uint64_t memory_bytes() const override { return index_.memory_bytes(); }

 private:
  NearDuplicateSignatures signatures_;
  NearDuplicateIndex index_;
};

}  // namespace

std::string folded(std::string_view text) {
  std::string form(text.size(), '\0');
  std::size_t size = 0;
  bool space_before = true;
  for (std::size_t at = 0; at < text.size();) {
    const bool is_ascii = static_cast<unsigned char>(text[at]) < 0x80;
    const CodePoint point = is_ascii ? CodePoint{static_cast<unsigned char>(text[at]), 1} : decode_utf8(&text[at]);
    const bool space = is_ascii ? is_ascii_space(text[at]) : is_space(point.value);
    if (space && !space_before) form[size++] = ' ';
    if (!space && is_ascii) form[size++] = ascii_lower(text[at]);
    if (!space && !is_ascii) size += text.copy(&form[size], point.bytes, at);
    space_before = space;
    at += point.bytes;
  }
  if (size > 0 && space_before) --size;
  form.resize(size);
  return form;
}

std::unique_ptr<DuplicateStep> exact_duplicates(const ExactDuplicateSettings& settings) {
  return std::make_unique<ExactDuplicates>(settings);
}

std::unique_ptr<DuplicateStep> near_duplicates(const NearDuplicateSettings& settings) {
  return std::make_unique<NearDuplicates>(settings);
}

}  // namespace stoa::trainer
