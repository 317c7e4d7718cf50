#include "stoa/trainer/curation/curation_settings.h"

#include "stoa/base/error.h"
#include "stoa/trainer/curation/data_sheet_statements.h"

namespace stoa::trainer {
namespace {

struct Named {
  StepKind kind;
  std::string_view name;
  std::int64_t version;
};
constexpr Named kSteps[] = {
    {StepKind::kExactDuplicates, "exact_duplicates", 1},
    {StepKind::kNearDuplicates, "near_duplicates", 1},
    {StepKind::kLanguage, "language", 1},
    {StepKind::kLength, "length", 1},
    {StepKind::kQuality, "quality", 1},
    {StepKind::kRepetition, "repetition", 1},
    {StepKind::kC4, "c4", 1},
    {StepKind::kPii, "pii", 1},
};

const Named& named(StepKind kind) {
  for (const Named& step : kSteps)
    if (step.kind == kind) return step;
  throw InternalError("a curation step of kind {} has no name", static_cast<int>(kind));
}

std::optional<Impossible> check_limits(const std::string& key, std::int64_t least, std::int64_t most) {
  if (least <= most) return std::nullopt;
  return Impossible{key, fmt::format("{} {} is above its upper limit {}: nothing would stay", key, least, most)};
}

std::optional<Impossible> check_step(const std::string& key, const CurationStepSettings& step) {
  if (step.kind == StepKind::kLanguage) {
    if (step.language.keep.empty()) return Impossible{key + ".keep", key + ".keep: expected at least one language"};
    for (const std::string& code : step.language.keep)
      if (!language_is_known(code))
        return Impossible{key + ".keep", fmt::format("{}.keep: '{}' is no ISO 639-1 code that the language detector "
                                                     "knows; expected two small letters such as en or de",
                                                     key, code)};
  }
  if (step.kind == StepKind::kLength) {
    const LengthSettings& s = step.length;
    const auto check = [&](const char* name, std::int64_t least, std::int64_t most) {
      return most == 0 ? std::nullopt : check_limits(key + "." + name, least, most);
    };
    if (auto wrong = check("least_bytes", s.least_bytes, s.most_bytes)) return wrong;
    if (auto wrong = check("least_characters", s.least_characters, s.most_characters)) return wrong;
    if (auto wrong = check("least_words", s.least_words, s.most_words)) return wrong;
  }
  if (step.kind == StepKind::kQuality) {
    const QualitySettings& s = step.quality;
    if (auto wrong = check_limits(key + ".least_words", s.least_words, s.most_words)) return wrong;
    if (s.stop_words.size() > 64)
      return Impossible{key + ".stop_words",
                        fmt::format("{}.stop_words: {} words, at most 64 are possible", key, s.stop_words.size())};
    if (s.least_stop_words > static_cast<std::int64_t>(s.stop_words.size()))
      return Impossible{key + ".least_stop_words", fmt::format("{}.least_stop_words {} is more than the {} stop_words",
                                                               key, s.least_stop_words, s.stop_words.size())};
  }
  if (step.kind == StepKind::kNearDuplicates) {
    try {
      validate(step.near_duplicates);
    } catch (const ConfigError& failure) {
      return Impossible{key, fmt::format("{}: {}", key, failure.what())};
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view step_name(StepKind kind) { return named(kind).name; }
std::int64_t step_version(StepKind kind) { return named(kind).version; }

std::optional<Impossible> check_curation(const CurationSettings& settings) {
  if (settings.sources.files.empty()) return Impossible{"sources.files", "sources.files: expected at least one file"};
  if (auto wrong = check_statements(settings.facts)) return wrong;
  if (settings.steps.empty()) return Impossible{"steps", "steps: expected at least one step"};
  for (std::size_t i = 0; i < settings.steps.size(); ++i)
    if (auto wrong = check_step(fmt::format("steps[{}]", i), settings.steps[i])) return wrong;
  return std::nullopt;
}

}  // namespace stoa::trainer
