#include "stoa/trainer/curation/croissant.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "stoa/trainer/curation/data_sheet_answers.h"

namespace stoa::trainer {
namespace {

constexpr const char* kFileSet = "documents-files";
constexpr const char* kRecordSet = "documents";

// The context of the specification (version 1.0, appendix 1), which validators compare with.
Json context() {
  return {{"@language", "en"},
          {"@vocab", "https://schema.org/"},
          {"citeAs", "cr:citeAs"},
          {"column", "cr:column"},
          {"conformsTo", "dct:conformsTo"},
          {"cr", "http://mlcommons.org/croissant/"},
          {"rai", "http://mlcommons.org/croissant/RAI/"},
          {"data", {{"@id", "cr:data"}, {"@type", "@json"}}},
          {"dataType", {{"@id", "cr:dataType"}, {"@type", "@vocab"}}},
          {"dct", "http://purl.org/dc/terms/"},
          {"equivalentProperty", "cr:equivalentProperty"},
          {"examples", {{"@id", "cr:examples"}, {"@type", "@json"}}},
          {"extract", "cr:extract"},
          {"field", "cr:field"},
          {"fileProperty", "cr:fileProperty"},
          {"fileObject", "cr:fileObject"},
          {"fileSet", "cr:fileSet"},
          {"format", "cr:format"},
          {"includes", "cr:includes"},
          {"isLiveDataset", "cr:isLiveDataset"},
          {"jsonPath", "cr:jsonPath"},
          {"key", "cr:key"},
          {"md5", "cr:md5"},
          {"parentField", "cr:parentField"},
          {"path", "cr:path"},
          {"recordSet", "cr:recordSet"},
          {"references", "cr:references"},
          {"regex", "cr:regex"},
          {"repeated", "cr:repeated"},
          {"replace", "cr:replace"},
          {"samplingRate", "cr:samplingRate"},
          {"sc", "https://schema.org/"},
          {"separator", "cr:separator"},
          {"source", "cr:source"},
          {"subField", "cr:subField"},
          {"transform", "cr:transform"}};
}

Json encoding_formats(const std::string& path) {
  std::filesystem::path name = path;
  Json formats = Json::array();
  std::string packed;
  if (name.extension() == ".gz") packed = "application/gzip";
  if (name.extension() == ".zst") packed = "application/zstd";
  if (!packed.empty()) name = name.stem();
  formats.push_back(name.extension() == ".jsonl" || name.extension() == ".ndjson" ? "application/jsonlines"
                                                                                  : "text/plain");
  if (!packed.empty()) formats.push_back(packed);
  return formats.size() == 1 ? formats.front() : formats;
}

Json file_object(const FileRecord& file) {
  return {{"@type", "cr:FileObject"},
          {"@id", file.path},
          {"name", file.path},
          {"description", fmt::format("{} documents", file.documents)},
          {"contentUrl", file.path},
          {"contentSize", fmt::format("{} B", file.size_bytes)},
          {"encodingFormat", encoding_formats(file.path)},
          {"sha256", file.sha256}};
}

// Without `containedIn`: the files lie in the description's own folder. (mlcroissant's loader finds no file of a set
// that is contained in its own file objects.)
Json file_set(const CurationRecord& record) {
  Json includes = Json::array();
  for (const FileRecord& file : record.outputs) includes.push_back(file.path);
  return {{"@type", "cr:FileSet"},
          {"@id", kFileSet},
          {"name", kFileSet},
          {"description", "All files of documents."},
          {"encodingFormat", encoding_formats(record.outputs.front().path)},
          {"includes", std::move(includes)}};
}

Json record_set(const CurationRecord& record, const std::vector<CroissantField>& fields) {
  const Json source = record.outputs.size() == 1 ? Json{{"fileObject", {{"@id", record.outputs.front().path}}}}
                                                 : Json{{"fileSet", {{"@id", kFileSet}}}};
  Json described = Json::array();
  for (const CroissantField& field : fields) {
    Json from = source;
    from["extract"] = {{"column", field.name}};
    described.push_back({{"@type", "cr:Field"},
                         {"@id", fmt::format("{}/{}", kRecordSet, field.name)},
                         {"name", field.name},
                         {"description", field.description},
                         {"dataType", field.data_type},
                         {"source", std::move(from)}});
  }
  return {{"@type", "cr:RecordSet"},
          {"@id", kRecordSet},
          {"name", kRecordSet},
          {"description", fmt::format("One record a document, {} in all.", record.documents)},
          {"field", std::move(described)}};
}

void add_what_the_recipe_says(const CurationRecord& record, Json& description) {
  const auto add = [&](const char* key, const char* name) {
    if (std::string text = recipe_text(record, key); !text.empty()) description[name] = std::move(text);
  };
  add("license", "license");
  if (const std::string creator = recipe_text(record, "creator"); !creator.empty())
    description["creator"] = {{"@type", "sc:Organization"}, {"name", creator}};
  add("url", "url");
  add("version", "version");
  add("citation", "citeAs");
  add("date_published", "datePublished");
}

}  // namespace

Json croissant_description(const CurationRecord& record, const std::vector<CroissantField>& fields) {
  Json description = {{"@context", context()}, {"@type", "sc:Dataset"}};
  description["conformsTo"] =
      Json::array({"http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"});
  description["name"] = record.name;
  const std::string said = recipe_text(record, "description");
  description["description"] =
      said.empty() ? fmt::format("{} documents of text, {} bytes, curated by Stoa {} from {} source files.",
                                 record.documents, record.bytes, record.stoa_version, record.sources.size())
                   : said;
  add_what_the_recipe_says(record, description);
  description["dateCreated"] = record.created;
  if (!record.languages.empty()) {
    Json languages = Json::array();
    for (const auto& [code, documents] : record.languages) languages.push_back(code);
    description["inLanguage"] = std::move(languages);
  }
  Json protocol = Json::array();
  for (const StepRecord& step : record.steps) protocol.push_back(step_sentence(step));
  if (!protocol.empty()) description["rai:dataPreprocessingProtocol"] = std::move(protocol);
  if (std::string personal = personal_data_sentence(record); !personal.empty())
    description["rai:personalSensitiveInformation"] = Json::array({std::move(personal)});

  Json distribution = Json::array();
  for (const FileRecord& file : record.outputs) distribution.push_back(file_object(file));
  if (record.outputs.size() > 1) distribution.push_back(file_set(record));
  description["distribution"] = std::move(distribution);
  if (!record.outputs.empty() && !fields.empty()) description["recordSet"] = Json::array({record_set(record, fields)});
  return description;
}

std::string croissant_text(const CurationRecord& record, const std::vector<CroissantField>& fields) {
  return croissant_description(record, fields).dump(2) + "\n";
}

}  // namespace stoa::trainer
