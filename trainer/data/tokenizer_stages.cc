#include "stoa/trainer/data/tokenizer_stages.h"

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_json_events.h"

namespace stoa::trainer {
namespace {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kByteLevel =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

/// As Python's json.dumps writes it on one line.
std::string spaced(const Json& value) {
  if (!value.is_structured()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string inside;
  for (const auto& [key, item] : value.items())
    inside += (inside.empty() ? "" : ", ") + (value.is_object() ? Json(key).dump() + ": " : "") + spaced(item);
  return value.is_object() ? "{" + inside + "}" : "[" + inside + "]";
}

const Json& stage(const Json& object, const char* key, std::string_view place) {
  static const Json kNull;
  const auto found = object.find(key);
  if (found == object.end()) return kNull;
  if (!found->is_null() && !found->is_object()) throw DataError("{}: '{}' is {}", place, key, shown(*found));
  return *found;
}

const Json& list(const Json& object, const char* key, std::string_view place) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array())
    throw DataError("{}: '{}' of {} is no list", place, key, shown(object));
  return *found;
}

bool is_of_type(const Json& object, std::string_view type) {
  if (!object.is_object()) return false;
  const auto found = object.find("type");
  return found != object.end() && found->is_string() && found->get_ref<const std::string&>() == type;
}

/// {"type": "Split", "pattern": {"Regex": one of ours}, "behavior": "Isolated", "invert": false}
PreTokenizer kind_of_split(const Json& split, std::string_view place) {
  require_json(split, "behavior", "Isolated", nullptr, place);
  require_json(split, "invert", false, false, place);
  const auto pattern = split.find("pattern");
  if (pattern != split.end() && *pattern == Json{{"Regex", kGpt2Pattern}}) return PreTokenizer::kGpt2;
  if (pattern != split.end() && *pattern == Json{{"Regex", kLlama3Pattern}}) return PreTokenizer::kLlama3;
  throw DataError("{}: the pre-tokenizer's pattern is {}, but only the patterns of GPT-2 and Llama 3 are read", place,
                  pattern == split.end() ? "missing" : shown(*pattern));
}

PreTokenizer read_pre_tokenizer(const Json& pre_tokenizer, std::string_view place) {
  if (!is_of_type(pre_tokenizer, "Sequence")) {
    require_json(pre_tokenizer, "type", "ByteLevel", nullptr, place);
    require_json(pre_tokenizer, "add_prefix_space", false, true, place);
    require_json(pre_tokenizer, "use_regex", true, true, place);
    return PreTokenizer::kGpt2;
  }
  const Json& parts = list(pre_tokenizer, "pretokenizers", place);
  if (parts.size() != 2 || !is_of_type(parts[0], "Split") || !is_of_type(parts[1], "ByteLevel"))
    throw DataError("{}: 'pre_tokenizer' is {}, but a sequence of Split and ByteLevel is expected", place,
                    shown(pre_tokenizer));
  require_json(parts[1], "add_prefix_space", false, true, place);
  require_json(parts[1], "use_regex", false, true, place);
  return kind_of_split(parts[0], place);
}

/// The special token that a template puts before the text, or -1.
std::int32_t read_template(const Json& processor, std::string_view place, const Vocabulary& vocabulary) {
  for (const Json& piece : list(processor, "single", place)) {
    if (!piece.is_object() || !piece.contains("SpecialToken")) return -1;
    const Json& named = piece.at("SpecialToken");
    const auto id = named.is_object() ? named.find("id") : named.end();
    const auto token = std::find_if(vocabulary.added.begin(), vocabulary.added.end(), [&](const AddedToken& added) {
      return named.is_object() && id != named.end() && *id == added.content;
    });
    if (token == vocabulary.added.end())
      throw DataError("{}: the post-processor's {} is no added token", place, shown(piece));
    return token->id;
  }
  return -1;
}

std::int32_t read_post_processor(const Json& processor, std::string_view place, const Vocabulary& vocabulary) {
  if (processor.is_null() || is_of_type(processor, "ByteLevel")) return -1;
  if (is_of_type(processor, "TemplateProcessing")) return read_template(processor, place, vocabulary);
  if (!is_of_type(processor, "Sequence"))
    throw DataError("{}: 'post_processor' is {}, but only ByteLevel, TemplateProcessing and sequences of them are read",
                    place, shown(processor));
  std::int32_t begin_of_text = -1;
  for (const Json& part : list(processor, "processors", place))
    begin_of_text = std::max(begin_of_text, read_post_processor(part, place, vocabulary));
  return begin_of_text;
}

std::string split_and_byte_level(std::string_view pattern) {
  return fmt::format(
      R"({{"type": "Sequence", "pretokenizers": [{{"type": "Split", "pattern": {{"Regex": {}}}, "behavior": "Isolated", )"
      R"("invert": false}}, {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}}]}})",
      Json(pattern).dump());
}

}  // namespace

void require_json(const Json& object, const char* key, const Json& wanted, const Json& when_absent,
                  std::string_view place) {
  const auto found = object.find(key);
  const Json& value = found == object.end() ? when_absent : *found;
  if (value != wanted)
    throw DataError("{}: '{}' is {}, but only {} is read: a byte-level BPE tokenizer as GPT-2's or Llama 3's", place,
                    key, shown(value), shown(wanted));
}

void read_stages(const Json& root, std::string_view place, Vocabulary& vocabulary) {
  require_json(root, "version", "1.0", "1.0", place);
  for (const char* absent : {"truncation", "padding", "normalizer"})
    require_json(root, absent, nullptr, nullptr, place);
  const Json& pre_tokenizer = stage(root, "pre_tokenizer", place);
  if (pre_tokenizer.is_null()) throw DataError("{}: 'pre_tokenizer' is missing", place);
  vocabulary.pre_tokenizer = read_pre_tokenizer(pre_tokenizer, place);
  const Json& post_processor = stage(root, "post_processor", place);
  vocabulary.begin_of_text = read_post_processor(post_processor, place, vocabulary);
  const Json& decoder = stage(root, "decoder", place);
  if (!decoder.is_null()) require_json(decoder, "type", "ByteLevel", nullptr, place);
  vocabulary.stages = {spaced(pre_tokenizer), spaced(post_processor), spaced(decoder)};
}

Stages written_stages(const Vocabulary& vocabulary) {
  const auto or_else = [](const std::string& written, const std::string& standard) {
    return written.empty() ? standard : written;
  };
  const bool is_gpt2 = vocabulary.pre_tokenizer == PreTokenizer::kGpt2;
  const std::string byte_level(kByteLevel);
  return {or_else(vocabulary.stages.pre_tokenizer, is_gpt2 ? byte_level : split_and_byte_level(kLlama3Pattern)),
          or_else(vocabulary.stages.post_processor, byte_level), or_else(vocabulary.stages.decoder, byte_level)};
}

}  // namespace stoa::trainer
