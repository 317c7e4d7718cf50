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
  return {trained().to_json(), strings, std::string(kTexts[0]), std::string(257, 'a'),
          "\xF0\x9F\x99\x82 \xED\xA0\x80 \xFF"};
}

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  stoa::check(stoa::trained(), input);
  try {
    const stoa::trainer::Tokenizer parsed = stoa::trainer::Tokenizer::parse(input, "input");
    stoa::check(parsed, stoa::kTexts[0]);
    stoa::require(stoa::trainer::Tokenizer::parse(parsed.to_json(), "again").fingerprint() == parsed.fingerprint());
  } catch (const stoa::Error&) {
  }
  return 0;
}
