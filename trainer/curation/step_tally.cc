#include "stoa/trainer/curation/step_tally.h"

#include <algorithm>
#include <bit>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/trainer/curation/personal_data.h"
#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kExcerptCharacters = 200;
/// Before the first change, so that it can be judged; and more, back to a space, so that nothing begins in its middle.
constexpr std::size_t kBytesBefore = 40, kMostBytesBefore = 120;
/// Read beyond the excerpt's end, so that what crosses it is found.
constexpr std::size_t kCharactersBeyond = 300;

/// A record is to be shown around: whatever the steps were, it repeats no personal data that a scanner knows.
std::string shown_excerpt(std::string_view text, std::size_t at) {
  if (at >= text.size()) at = 0;  // a later step shortened the text
  std::size_t begin = at - std::min(at, kBytesBefore);
  while (begin > 0 && at - begin < kMostBytesBefore && !is_ascii_space(text[begin - 1])) --begin;
  const std::string part = excerpt_of(text, begin, kExcerptCharacters + kCharactersBeyond);
  std::vector<PersonalData> found;
  find_personal_data(part, {}, found);
  return excerpt_of(without_personal_data(part, found), 0, kExcerptCharacters);
}

}  // namespace

StepTally::StepTally(std::string name, std::int64_t version, Json settings, std::vector<std::string> reasons,
                     std::int64_t samples)
    : reasons_(std::move(reasons)),
      most_samples_(static_cast<std::size_t>(samples)),
      counts_(reasons_.size()),
      replaced_(reasons_.size()),
      samples_(reasons_.size()) {
  record_.name = std::move(name);
  record_.version = version;
  record_.settings = std::move(settings);
}

void StepTally::add(const Outcome& outcome, std::string_view text, std::int64_t bytes_in, std::int64_t bytes_out,
                    const DocumentPlace& place) {
  ++record_.documents_in;
  record_.bytes_in += bytes_in;
  if (outcome.kind == Outcome::Kind::kDropped)
    ++record_.documents_dropped;
  else
    record_.bytes_out += bytes_out;
  if (outcome.kind == Outcome::Kind::kKept) return;
  if (outcome.kind == Outcome::Kind::kChanged) ++record_.documents_changed;
  for (std::size_t reason = 0; reason < reasons_.size(); ++reason)
    if ((outcome.reasons >> reason & 1) != 0) ++counts_[reason];
  for (const Outcome::Count& count : outcome.replaced) replaced_[count.reason] += count.places;
  offer_sample(static_cast<std::size_t>(std::countr_zero(outcome.reasons)), outcome, text, place);
}

void StepTally::offer_sample(std::size_t reason, const Outcome& outcome, std::string_view text,
                             const DocumentPlace& place) {
  if (most_samples_ == 0) return;
  const std::string where = fmt::format("{} {} {}", record_.name, place.file, place.line);
  const std::uint64_t key =
      xxh3_64(std::as_bytes(std::span(text)), xxh3_64(std::as_bytes(std::span(std::string_view(where)))));
  std::multiset<Sample>& samples = samples_[reason];
  if (samples.size() == most_samples_) {
    if (key >= samples.rbegin()->key) return;
    samples.erase(std::prev(samples.end()));
  }
  const std::size_t at = outcome.kind == Outcome::Kind::kChanged ? outcome.at : 0;
  samples.insert({key, place, shown_excerpt(text, at)});
}

StepRecord StepTally::record(const std::vector<std::string>& files) const {
  StepRecord record = record_;
  for (std::size_t reason = 0; reason < reasons_.size(); ++reason) {
    if (counts_[reason] > 0) record.reasons[reasons_[reason]] = counts_[reason];
    if (replaced_[reason] > 0) record.replaced[reasons_[reason]] = replaced_[reason];
    for (const Sample& sample : samples_[reason])
      record.samples.push_back({.file = files[static_cast<std::size_t>(sample.place.file)],
                                .line = sample.place.line,
                                .reason = reasons_[reason],
                                .excerpt = sample.excerpt});
  }
  return record;
}

}  // namespace stoa::trainer
