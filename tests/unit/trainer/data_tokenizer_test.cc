#include "stoa/trainer/data/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kText =
    "The quick brown fox jumps over the lazy dog; the dog, being lazy, did not mind. They're over there, aren't "
    "they?\n\n"
    "Été à Zürich: 1234567 francs — 日本語 日本語 🙂🙂 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

Tokenizer trained(std::int64_t vocabulary_size) {
  const std::string_view texts[] = {kText, kText};
  return train_tokenizer(texts, vocabulary_size);
}

/// The definition: while any neighbours can merge, join the pair of the lowest rank, the leftmost of its places.
std::vector<std::string> merged_by_definition(std::string_view pre_token,
                                              const std::vector<std::pair<std::string, std::string>>& merges) {
  std::vector<std::string> parts;
  for (const char c : pre_token) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best_rank = merges.size();
    std::size_t best_at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = std::find(merges.begin(), merges.end(), std::pair(parts[i], parts[i + 1]));
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best_at = i;
      }
    }
    if (best_rank == merges.size()) return parts;
    parts[best_at] += parts[best_at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

/// A tokenizer over the letters a and b with the merges that come to mind, in an order that no training gives.
struct HandMade {
  std::vector<std::pair<std::string, std::string>> merges = {{"ab", "a"},  {"b", "a"}, {"a", "a"},  {"a", "b"},
                                                             {"aa", "ba"}, {"b", "b"}, {"aa", "aa"}};
  Tokenizer tokenizer = make();

  Tokenizer make() const {
    std::string json = trained(257).to_json();
    std::string vocab;
    std::string list;
    int id = 257;
    for (const auto& [left, right] : merges) {
      vocab += fmt::format(",\n      \"{}\": {}", left + right, id++);
      list += fmt::format("{}\n      \"{} {}\"", list.empty() ? "" : ",", left, right);
    }
    json.insert(json.find("\n    },\n    \"merges\""), vocab);
    json.insert(json.rfind("\n    ]"), list);
    return Tokenizer::parse(json, "hand-made");
  }
};

TEST(Tokenizer, AppliesTheLowestRankFirstAndTheLeftmostOfThem) {
  const HandMade hand;
  std::mt19937 random(5);
  for (const std::size_t length : {1U, 2U, 3U, 7U, 33U, 48U, 49U, 65U, 257U}) {
    for (int round = 0; round < 33; ++round) {
      std::string text;
      for (std::size_t i = 0; i < length; ++i) text += random() % 2 == 0 ? 'a' : 'b';
      std::vector<std::string> found;
      for (const std::int32_t id : hand.tokenizer.encode(text)) found.push_back(hand.tokenizer.decode({{id}}));
      ASSERT_EQ(found, merged_by_definition(text, hand.merges)) << text;
    }
  }
}

TEST(Tokenizer, AMegabyteOfOneLetterTakesNoTimeSquared) {
  const HandMade hand;
  const std::string text((1 << 20) + 1, 'a');
  const std::vector<std::int32_t> tokens = hand.tokenizer.encode(text);
  EXPECT_EQ(tokens.size(), (text.size() - 1) / 4 + 1);
  EXPECT_EQ(hand.tokenizer.decode(tokens), text);
}

TEST(Tokenizer, DecodesWhatItEncodedFromAnyBytes) {
  const Tokenizer tokenizer = trained(300);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(kText)), kText);
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(every_byte)), every_byte);
  std::mt19937 random(7);
  for (int round = 0; round < 257; ++round) {
    std::string text;
    for (unsigned length = random() % 65; length > 0; --length) text += static_cast<char>(random());
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(Tokenizer, MakesFewerTokensThanBytes) {
  EXPECT_LT(trained(360).encode(kText).size(), kText.size() / 2);
  EXPECT_EQ(trained(257).encode(kText).size(), kText.size());
}

TEST(Tokenizer, DoesNotRecogniseEndOfTextInText) {
  const Tokenizer tokenizer = trained(300);
  const std::vector<std::int32_t> tokens = tokenizer.encode("a<|endoftext|>b");
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer.end_of_text()), 0);
  EXPECT_EQ(tokenizer.decode(tokens), "a<|endoftext|>b");
  EXPECT_EQ(tokenizer.decode({{tokenizer.end_of_text()}}), "<|endoftext|>");
}

TEST(Tokenizer, RefusesToDecodeAnIdOutsideTheVocabulary) {
  const Tokenizer tokenizer = trained(300);
  EXPECT_THAT(message_of<DataError>([&] { tokenizer.decode({{5, 300}}); }), HasSubstr("token 300 is outside"));
  EXPECT_THAT(message_of<DataError>([&] { tokenizer.decode({{-1}}); }), HasSubstr("token -1 is outside"));
}

/// More different pre-tokens than the cache holds, each twice, so that they push each other out: short ones of few and
/// of many tokens, long ones, and some that are too long for it.
TEST(Encoder, TheCacheChangesNoToken) {
  const Tokenizer tokenizer = trained(360);
  Encoder encoder(tokenizer);
  const auto word = [](int i) {
    std::string made = i % 4 == 0 ? " the" : " ";
    for (int left = i / 4; left > 0; left /= 8) made += "zqxjkvwy"[left % 8];
    return made + (i % 4 == 2 ? "the lazy dog" : i % 4 == 3 ? std::string(static_cast<std::size_t>(i % 29), 'q') : "");
  };
  for (const int repeat : {1, 2}) {
    for (int i = 0; i < 300'000; ++i) {
      std::vector<std::int32_t> tokens;
      encoder.encode(word(i), tokens);
      ASSERT_EQ(tokenizer.decode(tokens), word(i));
      if (i % 997 == 0) {
        ASSERT_EQ(tokens, tokenizer.encode(word(i))) << "round " << repeat;
      }
    }
  }
}

TEST(Encoder, AppendsToWhatIsThere) {
  const Tokenizer tokenizer = trained(300);
  Encoder encoder(tokenizer);
  std::vector<std::int32_t> tokens = {7};
  encoder.encode("!", tokens);
  EXPECT_THAT(tokens, ElementsAre(7, 0));
}

}  // namespace
}  // namespace stoa::trainer
