#include "stoa/trainer/curation/curation_record.h"

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr const char* kFormat = "stoa-curation";
constexpr std::int64_t kVersion = 1;

using Counts = std::map<std::string, std::int64_t>;

Json counts_json(const Counts& counts) {
  Json object = Json::object();
  for (const auto& [name, count] : counts) object[name] = count;
  return object;
}

Json file_json(const FileRecord& file) {
  return {{"path", file.path}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}, {"documents", file.documents}};
}

Json sample_json(const DocumentSample& sample) {
  return {{"file", sample.file}, {"line", sample.line}, {"reason", sample.reason}, {"excerpt", sample.excerpt}};
}

Json step_json(const StepRecord& step) {
  Json samples = Json::array();
  for (const DocumentSample& sample : step.samples) samples.push_back(sample_json(sample));
  return {{"name", step.name},
          {"version", step.version},
          {"settings", step.settings},
          {"documents_in", step.documents_in},
          {"documents_dropped", step.documents_dropped},
          {"documents_changed", step.documents_changed},
          {"bytes_in", step.bytes_in},
          {"bytes_out", step.bytes_out},
          {"reasons", counts_json(step.reasons)},
          {"replaced", counts_json(step.replaced)},
          {"samples", std::move(samples)}};
}

std::int64_t count_field(const Json& object, const char* key, std::string_view place) {
  const auto count = json_field<std::int64_t>(object, key, place);
  if (count < 0) throw DataError("{}: '{}' is negative: {}", place, key, count);
  return count;
}

const Json& container_field(const Json& object, const char* key, std::string_view place, Json::value_t type) {
  const bool is_list = type == Json::value_t::array;
  if (!object.is_object() || !object.contains(key) || object.at(key).type() != type)
    throw_json_field_error(object, key, place, is_list ? "an array" : "an object");
  return object.at(key);
}

Counts parse_counts(const Json& object, const char* key, std::string_view place) {
  const Json& counts = container_field(object, key, place, Json::value_t::object);
  Counts parsed;
  for (const auto& item : counts.items()) parsed[item.key()] = count_field(counts, item.key().c_str(), place);
  return parsed;
}

template <typename Parse>
auto parse_list(const Json& object, const char* key, std::string_view place, Parse parse) {
  std::vector<decltype(parse(object, place))> list;
  for (const Json& item : container_field(object, key, place, Json::value_t::array))
    list.push_back(parse(item, fmt::format("{}: {}[{}]", place, key, list.size())));
  return list;
}

FileRecord parse_file(const Json& object, std::string_view place) {
  FileRecord file;
  file.path = json_field<std::string>(object, "path", place);
  file.size_bytes = count_field(object, "size_bytes", place);
  file.sha256 = json_field<std::string>(object, "sha256", place);
  file.documents = count_field(object, "documents", place);
  return file;
}

DocumentSample parse_sample(const Json& object, std::string_view place) {
  DocumentSample sample;
  sample.file = json_field<std::string>(object, "file", place);
  sample.line = count_field(object, "line", place);
  sample.reason = json_field<std::string>(object, "reason", place);
  sample.excerpt = json_field<std::string>(object, "excerpt", place);
  return sample;
}

StepRecord parse_step(const Json& object, std::string_view place) {
  StepRecord step;
  step.name = json_field<std::string>(object, "name", place);
  step.version = count_field(object, "version", place);
  step.settings = container_field(object, "settings", place, Json::value_t::object);
  step.documents_in = count_field(object, "documents_in", place);
  step.documents_dropped = count_field(object, "documents_dropped", place);
  step.documents_changed = count_field(object, "documents_changed", place);
  step.bytes_in = count_field(object, "bytes_in", place);
  step.bytes_out = count_field(object, "bytes_out", place);
  step.reasons = parse_counts(object, "reasons", place);
  step.replaced = parse_counts(object, "replaced", place);
  step.samples = parse_list(object, "samples", place, parse_sample);
  if (step.documents_dropped > step.documents_in)
    throw DataError("{}: {} documents dropped of {}", place, step.documents_dropped, step.documents_in);
  return step;
}

}  // namespace

Json record_json(const CurationRecord& record) {
  Json sources = Json::array(), steps = Json::array(), outputs = Json::array();
  for (const FileRecord& file : record.sources) sources.push_back(file_json(file));
  for (const StepRecord& step : record.steps) steps.push_back(step_json(step));
  for (const FileRecord& file : record.outputs) outputs.push_back(file_json(file));
  return {{"format", kFormat},
          {"version", kVersion},
          {"name", record.name},
          {"created", record.created},
          {"stoa_version", record.stoa_version},
          {"recipe", record.recipe},
          {"documents", record.documents},
          {"bytes", record.bytes},
          {"languages", counts_json(record.languages)},
          {"sources", std::move(sources)},
          {"steps", std::move(steps)},
          {"outputs", std::move(outputs)}};
}

std::string record_text(const CurationRecord& record) {
  // A path may hold any bytes.
  return record_json(record).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

CurationRecord parse_record(std::string_view json, std::string_view place) {
  const Json document = parse_json(json, place);
  if (json_field<std::string>(document, "format", place) != kFormat)
    throw DataError("{}: not the record of a curation", place);
  if (const auto version = json_field<std::int64_t>(document, "version", place); version != kVersion)
    throw DataError("{}: a record of version {}; this Stoa reads version {}", place, version, kVersion);
  CurationRecord record;
  record.name = json_field<std::string>(document, "name", place);
  record.created = json_field<std::string>(document, "created", place);
  record.stoa_version = json_field<std::string>(document, "stoa_version", place);
  record.recipe = container_field(document, "recipe", place, Json::value_t::object);
  record.documents = count_field(document, "documents", place);
  record.bytes = count_field(document, "bytes", place);
  record.languages = parse_counts(document, "languages", place);
  record.sources = parse_list(document, "sources", place, parse_file);
  record.steps = parse_list(document, "steps", place, parse_step);
  record.outputs = parse_list(document, "outputs", place, parse_file);
  return record;
}

}  // namespace stoa::trainer
