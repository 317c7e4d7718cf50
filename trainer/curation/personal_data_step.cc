#include "stoa/trainer/curation/personal_data_step.h"

namespace stoa::trainer {

PersonalDataStep::PersonalDataStep(const PersonalDataSettings& s) : actions_{s.email, s.ip, s.phone, s.card, s.iban} {
  for (std::size_t kind = 0; kind < kPersonalDataKinds; ++kind)
    kinds_.wanted[kind] = actions_[kind] != PersonalDataAction::kKeep;
}

std::span<const std::string_view> PersonalDataStep::reasons() const {
  static const std::array<std::string_view, kPersonalDataKinds> kNames = [] {
    std::array<std::string_view, kPersonalDataKinds> names;
    for (std::size_t kind = 0; kind < names.size(); ++kind)
      names[kind] = personal_data_name(static_cast<PersonalDataKind>(kind));
    return names;
  }();
  return kNames;
}

Outcome PersonalDataStep::apply(Document& document) {
  find_personal_data(document.text(), kinds_, found_);
  if (found_.empty()) return {};
  std::array<std::int64_t, kPersonalDataKinds> places{};
  for (const PersonalData& place : found_) {
    const auto kind = static_cast<std::size_t>(place.kind);
    if (actions_[kind] == PersonalDataAction::kDrop) return dropped(place.kind);
    ++places[kind];
  }
  Outcome outcome{.kind = Outcome::Kind::kChanged, .at = found_.front().begin};
  for (std::uint32_t kind = 0; kind < places.size(); ++kind) {
    if (places[kind] == 0) continue;
    outcome.reasons |= std::uint32_t{1} << kind;
    outcome.replaced.push_back({kind, places[kind]});
  }
  document.replace(without_personal_data(document.text(), found_));
  return outcome;
}

}  // namespace stoa::trainer
