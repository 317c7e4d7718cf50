#pragma once
/// The questions of Datasheets for Datasets in their order: what each asks, in our own words, which answer the record
/// may give, and what a person should write where it gives none or only a part.
#include <cstdint>
#include <span>
#include <string>

#include "stoa/trainer/curation/data_sheet_answers.h"

namespace stoa::trainer {

/// What an answer of the record is, where it gives one.
enum class DataSheetAnswer : std::uint8_t {
  kWhole,
  kPart,  ///< a person adds to it
  kNone,  ///< a record can prove nothing: `answer` is nullptr
};

struct DataSheetQuestion {
  const char* section;
  const char* question;
  DataSheetAnswer is;
  std::string (*answer)(const DataSheetFacts&);
  const char* hint;  ///< what a person should write
};

std::span<const DataSheetQuestion> data_sheet_questions();

}  // namespace stoa::trainer
