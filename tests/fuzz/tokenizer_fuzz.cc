/// Two parsers in one target: the input as a tokenizer.json, which must be refused by a stoa::Error or give a tokenizer
/// that keeps its promises; and the input as a text, which every tokenizer must give back unchanged.
#include <cstdlib>

#include "stoa/base/error.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa {
namespace {

constexpr std::string_view kTexts[] = {"the other mother's brother bothers 2024 others été 日本 \n\n  aaaa aaaa"};

const trainer::Tokenizer& trained() {
  static const trainer::Tokenizer tokenizer = trainer::train_tokenizer(kTexts, 280);
  return tokenizer;
}

void require(bool claim) {
  if (!claim) std::abort();
}

void check(const trainer::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<std::int32_t> tokens = tokenizer.encode(text);
  for (const std::int32_t id : tokens) require(id >= 0 && id < tokenizer.vocabulary_size());
  require(tokenizer.decode(tokens) == text);
  for (const std::int32_t id : tokenizer.encode(text, trainer::AddedTokens::kRecognised))
    require(id >= 0 && id < tokenizer.vocabulary_size());
}

/// The trained one with Llama 3's way to cut text, whole tokens first, and added tokens with each flag.
const std::string& llama3_json() {
  static const std::string json = [] {
    std::string made = trained().to_json();
    const auto replace = [&](std::string_view from, std::string_view to) {
      const std::size_t at = made.find(from);
      require(at != std::string::npos);
      made.replace(at, from.size(), to);
    };
    replace(
        R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})",
        R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": )"
        R"("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|)"
        R"(\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false}, )"
        R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})");
    replace(R"("ignore_merges": false)", R"("ignore_merges": true)");
    replace(R"("special": true})", R"("special": true}, {"id": 280, "content": "<x>", "lstrip": true, "rstrip": true},)"
                                   R"({"id": 281, "content": " a", "single_word": true, "normalized": true})");
    return made;
  }();
  return json;
}

const trainer::Tokenizer& llama3() {
  static const trainer::Tokenizer tokenizer = trainer::Tokenizer::parse(llama3_json(), "llama3");
  return tokenizer;
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string strings = trained().to_json();
  for (std::size_t at = strings.find("[\"", strings.find("\"merges\"")); at != std::string::npos;
       at = strings.find("[\"", at)) {
    const std::size_t middle = strings.find("\", \"", at);
    strings.replace(middle, 4, " ");
    strings.erase(strings.find(']', middle), 1);
    strings.erase(at, 1);
  }
  return {trained().to_json(),    llama3_json(),         strings,
          std::string(kTexts[0]), std::string(257, 'a'), "\xF0\x9F\x99\x82 \xED\xA0\x80 \xFF"};
}

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  stoa::check(stoa::trained(), input);
  stoa::check(stoa::llama3(), input);
  try {
    const stoa::trainer::Tokenizer parsed = stoa::trainer::Tokenizer::parse(input, "input");
    stoa::check(parsed, stoa::kTexts[0]);
    stoa::require(stoa::trainer::Tokenizer::parse(parsed.to_json(), "again").fingerprint() == parsed.fingerprint());
  } catch (const stoa::Error&) {
  }
  return 0;
}
