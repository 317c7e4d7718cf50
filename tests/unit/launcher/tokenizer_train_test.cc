#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/launcher/command_line.h"
#include "stoa/tests/unit/launcher/captured.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TokenizerTrain : public testing::Test {
 protected:
  TokenizerTrain() {
    trainer::write_bytes(folder_ / "text.txt", "the other mother\n---\nbothers 1234567 others\n");
    trainer::write_bytes(folder_ / "lines.jsonl",
                         "{\"body\": \"the other mother\"}\n{\"body\": \"bothers 1234567 others\"}\n");
  }

  std::string at(const char* name) const { return (folder_ / name).string(); }

  int train(const char* text, const char* out, std::vector<std::string> more) {
    std::vector<std::string> words = {"tokenizer", "train", "--text", at(text), "--out", at(out)};
    words.insert(words.end(), more.begin(), more.end());
    return run_command_line(words, {.out = out_.stream(), .err = err_.stream()});
  }

  trainer::ScratchFolder folder_;
  Captured out_, err_;
};

TEST_F(TokenizerTrain, MakesTheSameTokenizerFromTextAndJsonLines) {
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "265", "--separator", "---", "--threads", "1"}), 0);
  EXPECT_EQ(train("lines.jsonl", "b.json", {"--vocabulary", "265", "--text-field", "body", "--memory", "3MiB"}), 0);
  EXPECT_EQ(trainer::read_bytes(folder_ / "a.json"), trainer::read_bytes(folder_ / "b.json"));
  EXPECT_EQ(train("*.jsonl", "c.json", {"--vocabulary", "265", "--text-field", "body"}), 0);
  EXPECT_EQ(trainer::read_bytes(folder_ / "a.json"), trainer::read_bytes(folder_ / "c.json"));
  EXPECT_THAT(out_.text(), HasSubstr("b.json: 265 entries from 2 documents, "));
  EXPECT_THAT(err_.text(), HasSubstr(" different words in 2 documents"));
}

TEST_F(TokenizerTrain, ThePreTokenizerStandsInTheFileAndIsUsed) {
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "265"}), 0);
  EXPECT_EQ(train("text.txt", "b.json", {"--vocabulary", "265", "--pre-tokenizer", "llama3"}), 0);
  const auto gpt2 = trainer::Tokenizer::load(folder_ / "a.json");
  const auto llama3 = trainer::Tokenizer::load(folder_ / "b.json");
  EXPECT_THAT(trainer::read_bytes(folder_ / "b.json"), HasSubstr("{1,3}"));
  EXPECT_NE(gpt2.fingerprint(), llama3.fingerprint());
  for (const std::string text : {"the other's 1234567", ""}) EXPECT_EQ(llama3.decode(llama3.encode(text)), text);
}

TEST_F(TokenizerTrain, RefusesWithTheKindOfErrorAndMakesNothing) {
  trainer::write_bytes(folder_ / "there.json", "kept");
  EXPECT_EQ(train("text.txt", "there.json", {"--vocabulary", "265"}), exit_code(ErrorKind::kUsage));
  EXPECT_EQ(trainer::read_bytes(folder_ / "there.json"), "kept");
  EXPECT_EQ(train("text.txt", "no/folder.json", {"--vocabulary", "265"}), exit_code(ErrorKind::kStorage));
  EXPECT_EQ(train("no.txt", "a.json", {"--vocabulary", "265"}), exit_code(ErrorKind::kData));
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "9999"}), exit_code(ErrorKind::kData));
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "265", "--memory", "3KiB"}), exit_code(ErrorKind::kData));
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "many"}), exit_code(ErrorKind::kUsage));
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "256"}), exit_code(ErrorKind::kUsage));
  EXPECT_EQ(train("text.txt", "a.json", {"--vocabulary", "265", "--memory", "2 lots"}), exit_code(ErrorKind::kUsage));
  EXPECT_THAT(err_.text(), AllOf(HasSubstr("there.json: is there already"), HasSubstr("no.txt"),
                                 HasSubstr("a vocabulary of 9999 needs more text"), HasSubstr("3.00 KiB of memory")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.json"));
}

}  // namespace
}  // namespace stoa::launcher
