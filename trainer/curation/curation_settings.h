#pragma once
/// What a curation is to do. The launcher reads it from a recipe in YAML; curate.h does it.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/compress.h"
#include "stoa/base/json.h"
#include "stoa/trainer/curation/c4_step.h"
#include "stoa/trainer/curation/duplicate_step.h"
#include "stoa/trainer/curation/language_step.h"
#include "stoa/trainer/curation/length_step.h"
#include "stoa/trainer/curation/personal_data_step.h"
#include "stoa/trainer/curation/quality_step.h"
#include "stoa/trainer/curation/repetition_step.h"
#include "stoa/trainer/data/text_chunks.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

enum class StepKind { kExactDuplicates, kNearDuplicates, kLanguage, kLength, kQuality, kRepetition, kC4, kPii };

/// "exact_duplicates", ...: the name in recipes and records.
std::string_view step_name(StepKind kind);
/// Raised whenever the step would do anything else to any document with the same settings.
std::int64_t step_version(StepKind kind);

/// One step; of the settings below those of its kind count.
struct CurationStepSettings {
  StepKind kind = StepKind::kLength;
  ExactDuplicateSettings exact_duplicates;
  NearDuplicateSettings near_duplicates;
  LanguageSettings language;
  LengthSettings length;
  QualitySettings quality;
  RepetitionSettings repetition;
  C4Settings c4;
  PersonalDataSettings pii;
};

/// What a person says about the data set, for its data sheet and its Croissant description; all may be empty.
struct DataSetFacts {
  std::string description, creator, license, url, version, citation, date_published;
};

struct CurationSettings {
  std::string name;
  DataSetFacts facts;
  std::string output;  ///< folder, which is made
  TextInputs sources;
  std::int64_t part_bytes = std::int64_t{1} << 30;  ///< of a part before compression, a last document aside
  Compression compression = Compression::kZstd;     ///< of parts; gzip is not written
  std::int64_t samples = 5;                         ///< of each reason of each step in the record
  std::vector<CurationStepSettings> steps;
  /// The whole recipe with every default, for the record; recipe["steps"][i] are the settings of step i.
  Json recipe = Json::object();
  std::string stoa_version;
};

/// The first thing that cannot be ("steps[2].keep"), or nothing.
std::optional<Impossible> check_curation(const CurationSettings& settings);

}  // namespace stoa::trainer
