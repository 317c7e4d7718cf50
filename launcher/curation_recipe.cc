#include "stoa/launcher/curation_recipe.h"

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa::launcher {
namespace {

using trainer::CurationSettings;
using trainer::CurationStepSettings;
using trainer::PersonalDataAction;
using trainer::StepKind;
using trainer::TextForm;

constexpr YamlChoice<StepKind> kSteps[] = {{"exact_duplicates", StepKind::kExactDuplicates},
                                           {"near_duplicates", StepKind::kNearDuplicates},
                                           {"language", StepKind::kLanguage},
                                           {"length", StepKind::kLength},
                                           {"quality", StepKind::kQuality},
                                           {"repetition", StepKind::kRepetition},
                                           {"c4", StepKind::kC4},
                                           {"pii", StepKind::kPii}};
constexpr YamlChoice<TextForm> kForms[] = {{"folded", TextForm::kFolded}, {"bytes", TextForm::kBytes}};
constexpr YamlChoice<Compression> kCompressions[] = {{"zstd", Compression::kZstd}, {"none", Compression::kNone}};
constexpr YamlChoice<PersonalDataAction> kActions[] = {{"replace", PersonalDataAction::kReplace},
                                                       {"drop", PersonalDataAction::kDrop},
                                                       {"keep", PersonalDataAction::kKeep}};

// Far beyond any use, and no sum of them overflows.
constexpr WholeRange kCount{.least = 0, .most = std::int64_t{1} << 40};
constexpr RealRange kFraction{.least = 0, .most = 1};
constexpr RealRange kAtLeastZero{};

void describe_length(YamlFields& fields, trainer::LengthSettings& length) {
  fields.field("least_bytes", length.least_bytes, kCount);
  fields.field("most_bytes", length.most_bytes, kCount);
  fields.field("least_characters", length.least_characters, kCount);
  fields.field("most_characters", length.most_characters, kCount);
  fields.field("least_words", length.least_words, kCount);
  fields.field("most_words", length.most_words, kCount);
}

void describe_quality(YamlFields& fields, trainer::QualitySettings& quality) {
  fields.field("least_words", quality.least_words, kCount);
  fields.field("most_words", quality.most_words, kCount);
  fields.field("least_mean_word_length", quality.least_mean_word_length, kAtLeastZero);
  fields.field("most_mean_word_length", quality.most_mean_word_length, kAtLeastZero);
  fields.field("most_symbols_per_word", quality.most_symbols_per_word, kAtLeastZero);
  fields.field("most_bullet_lines", quality.most_bullet_lines, kFraction);
  fields.field("most_ellipsis_lines", quality.most_ellipsis_lines, kFraction);
  fields.field("least_alphabetic_words", quality.least_alphabetic_words, kFraction);
  fields.field("least_stop_words", quality.least_stop_words, WholeRange{.least = 0, .most = 64});
  fields.field("stop_words", quality.stop_words);
}

void describe_repetition(YamlFields& fields, trainer::RepetitionSettings& repetition) {
  fields.field("duplicate_lines", repetition.duplicate_lines, kFraction);
  fields.field("duplicate_paragraphs", repetition.duplicate_paragraphs, kFraction);
  fields.field("duplicate_line_characters", repetition.duplicate_line_characters, kFraction);
  fields.field("duplicate_paragraph_characters", repetition.duplicate_paragraph_characters, kFraction);
  fields.field("top_2_gram", repetition.top_2_gram, kFraction);
  fields.field("top_3_gram", repetition.top_3_gram, kFraction);
  fields.field("top_4_gram", repetition.top_4_gram, kFraction);
  fields.field("duplicate_5_grams", repetition.duplicate_5_grams, kFraction);
  fields.field("duplicate_6_grams", repetition.duplicate_6_grams, kFraction);
  fields.field("duplicate_7_grams", repetition.duplicate_7_grams, kFraction);
  fields.field("duplicate_8_grams", repetition.duplicate_8_grams, kFraction);
  fields.field("duplicate_9_grams", repetition.duplicate_9_grams, kFraction);
  fields.field("duplicate_10_grams", repetition.duplicate_10_grams, kFraction);
}

void describe_c4(YamlFields& fields, trainer::C4Settings& c4) {
  fields.field("require_end_punctuation", c4.require_end_punctuation);
  fields.field("least_words_in_line", c4.least_words_in_line, kCount);
  fields.field("longest_word", c4.longest_word, WholeRange{.least = 1, .most = std::int64_t{1} << 40});
  fields.field("bad_lines", c4.bad_lines);
  fields.field("bad_pages", c4.bad_pages);
  fields.field("drop_braces", c4.drop_braces);
  fields.field("least_sentences", c4.least_sentences, kCount);
}

void describe_language(YamlFields& fields, trainer::LanguageSettings& language) {
  fields.field("keep", language.keep);
  fields.field("least_share", language.least_share, kFraction);
  fields.field("keep_unreliable", language.keep_unreliable);
  fields.field("most_bytes", language.most_bytes, WholeRange{.least = 16, .most = 1 << 30});
}

void describe_pii(YamlFields& fields, trainer::PersonalDataSettings& pii) {
  fields.choice("email", pii.email, kActions);
  fields.choice("ip", pii.ip, kActions);
  fields.choice("phone", pii.phone, kActions);
  fields.choice("card", pii.card, kActions);
  fields.choice("iban", pii.iban, kActions);
}

void describe_near_duplicates(YamlFields& fields, trainer::NearDuplicateSettings& near) {
  fields.field("threshold", near.threshold, RealRange{.least = 0.3, .most = 1});
  fields.field("shingle_words", near.shingle_words, WholeRange{.least = 1, .most = 64});
  fields.field("permutations", near.permutations, WholeRange{.least = 16, .most = 1024});
  fields.field("seed", near.seed);
}

void describe_step(YamlFields& fields, CurationStepSettings& step) {
  fields.choice("step", step.kind, kSteps);
  switch (step.kind) {
    case StepKind::kExactDuplicates:
      return fields.choice("compare", step.exact_duplicates.compare, kForms);
    case StepKind::kNearDuplicates:
      return describe_near_duplicates(fields, step.near_duplicates);
    case StepKind::kLanguage:
      return describe_language(fields, step.language);
    case StepKind::kLength:
      return describe_length(fields, step.length);
    case StepKind::kQuality:
      return describe_quality(fields, step.quality);
    case StepKind::kRepetition:
      return describe_repetition(fields, step.repetition);
    case StepKind::kC4:
      return describe_c4(fields, step.c4);
    case StepKind::kPii:
      return describe_pii(fields, step.pii);
  }
}

void describe_sources(YamlFields& fields, trainer::TextInputs& sources) {
  fields.field("files", sources.files);
  fields.field("text_field", sources.text_field, Presence::kRequired);
  fields.field("document_separator", sources.document_separator, Presence::kRequired);
}

void describe_facts(YamlFields& fields, trainer::DataSetFacts& facts) {
  fields.field("description", facts.description, Presence::kOptional);
  fields.field("creator", facts.creator, Presence::kOptional);
  fields.field("license", facts.license, Presence::kOptional);
  fields.field("url", facts.url, Presence::kOptional);
  fields.field("version", facts.version, Presence::kOptional);
  fields.field("citation", facts.citation, Presence::kOptional);
  fields.field("date_published", facts.date_published, Presence::kOptional);
}

void describe_recipe(YamlFields& fields, CurationSettings& settings) {
  fields.field("name", settings.name, Presence::kRequired);
  describe_facts(fields, settings.facts);
  fields.field("output", settings.output, Presence::kRequired);
  fields.field("part_bytes", settings.part_bytes, WholeRange{.least = 1, .most = std::int64_t{1} << 40});
  fields.choice("compression", settings.compression, kCompressions);
  fields.field("samples", settings.samples, WholeRange{.least = 0, .most = 1000});
  fields.section("sources", settings.sources, describe_sources);
  fields.list("steps", settings.steps, describe_step);
}

/// What YamlWriter wrote: strings are in quotes, so plain scalars are numbers, truths and names of choices.
/// An empty string is left out: it says nothing.
Json json_of(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kMap) {
    Json object = Json::object();
    for (const YamlEntry& entry : node.entries)
      if (!entry.value.quoted || !entry.value.text.empty()) object[entry.key] = json_of(entry.value);
    return object;
  }
  if (node.kind == YamlNode::Kind::kList) {
    Json list = Json::array();
    for (const YamlNode& item : node.items) list.push_back(json_of(item));
    return list;
  }
  if (!node.quoted && Json::accept(node.text)) return Json::parse(node.text);
  return node.text;
}

}  // namespace

trainer::CurationSettings parse_recipe(YamlFile& file, std::span<const std::string> overrides) {
  for (const std::string& assignment : overrides) file.set(assignment);
  CurationSettings settings;
  YamlReader reader(file);
  describe_recipe(reader, settings);
  reader.finish();
  if (const auto wrong = trainer::check_curation(settings))
    throw ConfigError("{}: {}", file.place(wrong->key), wrong->message);
  settings.recipe = json_of(YamlFile::parse(recipe_yaml(settings), settings.name).root());
  return settings;
}

trainer::CurationSettings read_recipe(const std::filesystem::path& path, std::span<const std::string> overrides) {
  YamlFile file = YamlFile::read(path);
  return parse_recipe(file, overrides);
}

std::string recipe_yaml(const trainer::CurationSettings& settings) {
  YamlWriter writer;
  CurationSettings copy = settings;
  describe_recipe(writer, copy);
  return writer.text();
}

}  // namespace stoa::launcher
