#include "stoa/trainer/curation/describe.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kLongestLine = std::size_t{256} << 20;

std::string first_line(const std::filesystem::path& file) {
  InputStream stream(file);
  std::string line;
  std::array<char, 1 << 16> block;
  while (const std::size_t size = stream.read(block)) {
    const std::string_view part(block.data(), size);
    const std::size_t end = part.find('\n');
    line += part.substr(0, end);
    if (end != std::string_view::npos) break;
    if (line.size() > kLongestLine)
      throw DataError("{}: the first line is longer than {} bytes: is it JSON Lines?", file.string(), kLongestLine);
  }
  return line;
}

bool is_json_lines(const std::filesystem::path& file) {
  const std::string name = file.string();
  const std::string_view plain = without_compression_ending(name);
  return plain.ends_with(".jsonl") || plain.ends_with(".ndjson");
}

/// Without values inside of values, however deep they go.
Json members_of(std::string_view line, const std::string& place) {
  const auto is_wanted = [](int depth, Json::parse_event_t event, Json&) {
    return depth == 0 || (event != Json::parse_event_t::object_start && event != Json::parse_event_t::array_start);
  };
  Json members = Json::parse(line, is_wanted, false);
  return members.is_discarded() ? parse_json(line, place) : members;
}

std::string data_type(const Json& value) {
  if (value.is_string()) return "sc:Text";
  if (value.is_boolean()) return "sc:Boolean";
  if (value.is_number_integer()) return "sc:Integer";
  return value.is_number() ? "sc:Float" : "";
}

}  // namespace

std::vector<CroissantField> croissant_fields(const std::filesystem::path& file) {
  if (!is_json_lines(file)) return {};
  const std::string line = first_line(file);
  if (line.empty()) return {};
  const std::string place = file.string() + ":1";
  const Json object = members_of(line, place);
  if (!object.is_object()) throw DataError("{}: the line is no JSON object", place);
  std::vector<CroissantField> fields;
  for (const auto& [key, value] : object.items())
    if (const std::string type = data_type(value); !type.empty())
      fields.push_back(
          {key, key == "text" ? "The text of the document." : fmt::format("Key \"{}\" of each line.", key), type});
  return fields;
}

void write_description(const CurationRecord& record, const std::filesystem::path& folder,
                       const std::optional<TokenizedFacts>& tokenized) {
  std::vector<CroissantField> fields;
  for (const FileRecord& output : record.outputs)
    if (fields = croissant_fields(folder / output.path); !fields.empty()) break;
  write_file_durably(folder / kDataSheetFile, data_sheet_markdown(record, tokenized));
  write_file_durably(folder / kCroissantFile, croissant_text(record, fields));
}

}  // namespace stoa::trainer
