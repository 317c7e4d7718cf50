#pragma once
/// Personal data (personal_data.h), by kind: replaced by a placeholder, a reason to drop the document, or left alone.
#include "stoa/trainer/curation/document_step.h"
#include "stoa/trainer/curation/personal_data.h"

namespace stoa::trainer {

enum class PersonalDataAction { kReplace, kDrop, kKeep };

struct PersonalDataSettings {
  PersonalDataAction email = PersonalDataAction::kReplace;
  PersonalDataAction ip = PersonalDataAction::kReplace;
  PersonalDataAction phone = PersonalDataAction::kReplace;
  PersonalDataAction card = PersonalDataAction::kReplace;
  PersonalDataAction iban = PersonalDataAction::kReplace;
};

/// Reasons are the names of the kinds.
class PersonalDataStep final : public DocumentStep {
 public:
  explicit PersonalDataStep(const PersonalDataSettings& settings);
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;

 private:
  std::array<PersonalDataAction, kPersonalDataKinds> actions_;
  PersonalDataKinds kinds_;
  std::vector<PersonalData> found_;
};

}  // namespace stoa::trainer
