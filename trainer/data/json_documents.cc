#include "stoa/trainer/data/json_documents.h"

#include <simdjson.h>

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";
/// A parser that grew beyond this for one long line is given up after it.
constexpr std::size_t kMostKeptCapacity = std::size_t{1} << 24;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) + 1 - begin);
}

}  // namespace

struct JsonDocuments::State {
  explicit State(std::string field) : text_field(std::move(field)) {}

  std::string text_field;
  simdjson::dom::parser parser;
  std::string padded;  // a line too near to the end of its buffer, copied
  std::string texts;   // decoded; never longer than the lines, so that views into it stay

  /// simdjson reads up to SIMDJSON_PADDING bytes beyond a line: they must be there, whatever they are.
  simdjson::simdjson_result<simdjson::dom::element> parse(std::string_view line, std::string_view lines) {
    const auto behind = static_cast<std::size_t>(lines.data() + lines.size() - (line.data() + line.size()));
    if (behind >= simdjson::SIMDJSON_PADDING) return parser.parse(line.data(), line.size(), false);
    padded.assign(line);
    padded.append(simdjson::SIMDJSON_PADDING, ' ');
    return parser.parse(padded.data(), line.size(), false);
  }

  std::string_view text_of(std::string_view line, std::string_view lines, std::string_view file, std::int64_t number) {
    simdjson::dom::element element;
    if (const auto failure = parse(line, lines).get(element))
      throw DataError("{}:{}: not one JSON object: {}", file, number, simdjson::error_message(failure));
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS)
      throw DataError("{}:{}: not a JSON object, but a line of such a file is one", file, number);
    std::string_view text;
    bool found = false;
    for (const simdjson::dom::key_value_pair field : object) {
      if (field.key != text_field) continue;
      if (found) throw DataError("{}:{}: the object has \"{}\" twice", file, number, text_field);
      if (field.value.get(text) != simdjson::SUCCESS)
        throw DataError("{}:{}: \"{}\" is not a string", file, number, text_field);
      found = true;
    }
    if (!found) throw DataError("{}:{}: the object has no \"{}\" (text_field)", file, number, text_field);
    return text;
  }
};

JsonDocuments::JsonDocuments(std::string text_field) : state_(std::make_unique<State>(std::move(text_field))) {}
JsonDocuments::~JsonDocuments() = default;

void JsonDocuments::append(std::string_view lines, std::string_view file, std::int64_t first_line,
                           std::vector<DocumentView>& documents) {
  if (state_->parser.capacity() > kMostKeptCapacity) state_->parser = simdjson::dom::parser();
  state_->texts.clear();
  state_->texts.reserve(lines.size());
  std::int64_t number = first_line;
  for (std::size_t begin = 0; begin < lines.size(); ++number) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string_view line = trimmed(lines.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    const std::string_view text = state_->text_of(line, lines, file, number);
    if (text.empty()) continue;
    const std::size_t at = state_->texts.size();
    state_->texts.append(text);
    documents.push_back({std::string_view(state_->texts).substr(at), number, line});
  }
}

}  // namespace stoa::trainer
