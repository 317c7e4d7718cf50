/// Training beyond memory and on several threads: the same bytes, nothing left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>

#include "stoa/base/error.h"
#include "stoa/tests/unit/launcher/captured.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer_training_cells.h"

namespace stoa::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

/// Words of a few letters, short ones often, most of them rare: as languages have them.
std::string random_word(std::mt19937_64& random) {
  constexpr std::string_view kSyllables[] = {"ba", "ne", "thi", "lo", "ru", "s",   "mé",
                                             "日", "ka", "st",  "on", "er", "\xFF"};
  std::string word;
  const std::size_t most = 1 + random() % 5;
  for (std::size_t i = 0; i <= random() % most; ++i) word += kSyllables[random() % std::size(kSyllables)];
  return word;
}

/// Documents of several MiB in all: more than one portion a thread.
const std::vector<std::string>& documents() {
  static const std::vector<std::string> made = [] {
    std::mt19937_64 random(7);
    std::vector<std::string> texts(3001);
    for (std::string& text : texts)
      for (int i = 0; i < 257; ++i) text += (i == 0 ? "" : " ") + random_word(random);
    return texts;
  }();
  return made;
}

std::vector<std::string_view> views() { return {documents().begin(), documents().end()}; }

TrainedTokenizer train(int threads, std::int64_t memory_bytes, const std::filesystem::path& scratch) {
  const auto texts = views();
  return train_tokenizer(
      {.vocabulary_size = 777, .threads = threads, .memory_bytes = memory_bytes, .scratch_folder = scratch}, texts);
}

TEST(TokenizerTrainingScale, NeitherThreadsNorSpillingChangeAByte) {
  const ScratchFolder folder;
  const TrainedTokenizer whole = train(1, std::int64_t{1} << 30, folder.path());
  EXPECT_EQ(whole.report.documents, 3001);
  EXPECT_EQ(whole.report.spilled_bytes, 0);
  // Memory for all words, but not for a table of all words on each thread.
  const std::int64_t tight = whole.report.words * 173;
  for (const int threads : {1, 2, 3, 5})
    for (const std::int64_t memory_bytes : {std::int64_t{1} << 30, tight}) {
      const TrainedTokenizer other = train(threads, memory_bytes, folder.path());
      EXPECT_EQ(other.report.words_left_out, 0);
      EXPECT_EQ(other.report.words, whole.report.words);
      EXPECT_EQ(other.report.occurrences, whole.report.occurrences);
      EXPECT_TRUE(other.report.spilled_bytes > 0 || memory_bytes != tight || threads < 3);
      EXPECT_EQ(other.tokenizer.to_json(), whole.tokenizer.to_json()) << threads << " threads, " << memory_bytes;
    }
}

TEST(TokenizerTrainingScale, WhatIsLeftOutDoesNotDependOnThreadsEither) {
  const ScratchFolder folder;
  const TrainedTokenizer one = train(1, TokenizerTraining::kLeastMemory, folder.path());
  EXPECT_GT(one.report.words_left_out, 0);
  EXPECT_LT(one.report.occurrences_left_out, one.report.occurrences / 2);
  const TrainedTokenizer three = train(3, TokenizerTraining::kLeastMemory, folder.path());
  EXPECT_EQ(three.report.words_left_out, one.report.words_left_out);
  EXPECT_EQ(three.report.occurrences_left_out, one.report.occurrences_left_out);
  EXPECT_EQ(three.tokenizer.to_json(), one.tokenizer.to_json());
}

TEST(TokenizerTrainingScale, ManyThreadsInLittleMemoryDoNotMakeARunOfEachWord) {
  const ScratchFolder folder;
  constexpr std::int64_t kLeast = TokenizerTraining::kLeastMemory;
  const TrainedTokenizer few = train(3, kLeast, folder.path()), many = train(67, kLeast, folder.path());
  EXPECT_EQ(many.tokenizer.to_json(), few.tokenizer.to_json());
  // A record has a word's bytes and two more: without a table to count in, each occurrence would be written.
  EXPECT_LT(many.report.spilled_bytes, many.report.text_bytes / 2);
}

TEST(TokenizerTrainingScale, SumsOfManyRunsAreTheCounts) {
  const ScratchFolder folder;
  std::mt19937_64 random(3);
  std::map<std::string, std::uint64_t> expected;
  // 100,001 words in a table for some dozens: far more runs than are read at once.
  std::vector<SpillingWords> words;
  for (int t = 0; t < 2; ++t) words.emplace_back(folder.path(), 17 << 10);
  for (int i = 0; i < 100'001; ++i) {
    std::string word = random_word(random);
    if (i % 1009 == 0) word = std::string(static_cast<std::size_t>(i), 'x');
    words[random() % 2].add(word);
    ++expected[word];
  }
  std::vector<std::unique_ptr<WordStream>> streams;
  for (SpillingWords& part : words) {
    EXPECT_GT(part.runs(), 65U);
    part.finish();
    EXPECT_LE(part.runs(), 64U);
    part.append_streams(streams);
  }
  const auto sum = sum_of(std::move(streams));
  CountedWord before;
  std::string before_bytes;
  std::map<std::string, std::uint64_t> found;
  for (CountedWord word; sum->next(word); before = word, before_bytes = word.bytes, before.bytes = before_bytes) {
    EXPECT_TRUE(found.empty() || before < word);
    found.emplace(word.bytes, word.count);
  }
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TokenizerTrainingScale, KeepsTheMostFrequentWords) {
  const ScratchFolder folder;
  SpillingWords words(folder.path(), 1 << 20);
  std::int64_t room = 0;
  for (int w = 0; w < 33; ++w)
    for (int i = 0; i < 1 + w % 5; ++i) words.add("word" + std::to_string(10 + w));
  // 6 words of five, 6 of four, and 2.5 of the 7 of three.
  room = (2 * (6 + 6 + 2) + 1) * (7 * kBytesPerCell + kBytesPerWord) / 2;
  words.finish();
  const auto stream = [&] {
    std::vector<std::unique_ptr<WordStream>> one;
    words.append_streams(one);
    return sum_of(std::move(one));
  };
  TokenizerTrainingReport report;
  const WordCells kept = keep_words(stream, room, {}, report);
  std::map<std::int64_t, int> by_count;
  for (const std::int64_t count : kept.counts) ++by_count[count];
  EXPECT_EQ(by_count, (std::map<std::int64_t, int>{{5, 6}, {4, 6}, {3, 2}}));
  EXPECT_EQ(report.words, 33);
  EXPECT_EQ(report.words_left_out, 33 - 14);
  EXPECT_EQ(report.occurrences_left_out, 5 * 3 + 7 * 2 + 7 * 1);
  EXPECT_EQ(kept.cells.size(), 14U * 7 + 1);
}

TEST(TokenizerTrainingScale, NoScratchFileEverHasAName) {
  const ScratchFolder folder;
  const auto texts = views();
  bool had_a_name = false;
  const auto look = [&](double) { had_a_name = had_a_name || !std::filesystem::is_empty(folder.path()); };
  const TrainedTokenizer trained = train_tokenizer(
      {.vocabulary_size = 777, .threads = 2, .memory_bytes = 3 << 20, .scratch_folder = folder.path()}, texts, look);
  EXPECT_GT(trained.report.spilled_bytes, 0);
  EXPECT_FALSE(had_a_name);
}

TEST(TokenizerTrainingScale, AFullDiskIsAStorageErrorThatNamesTheFolder) {
  const ScratchFolder folder;
  // A limit of this process stands for the disk's: write(2) fails in the same way.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100'001, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message =
      message_of<StorageError>([&] { train(2, TokenizerTraining::kLeastMemory, folder.path()); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message, AllOf(HasSubstr(folder.path().string() + ": 100001 "), HasSubstr("File too large")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT(message_of<StorageError>([&] { train(2, TokenizerTraining::kLeastMemory, folder / "nowhere"); }),
              AllOf(HasSubstr((folder / "nowhere").string()), HasSubstr("No such file or directory")));
}

TEST(TokenizerTrainingScale, ReadsFilesAndSaysWhatItReadAndLeftOut) {
  const ScratchFolder folder;
  std::string text, lines;
  for (std::size_t d = 0; d < 1111; ++d) {
    std::string document = documents()[d];
    std::erase(document, '\xFF');  // no JSON has that
    text += document + "\n<|endoftext|>\n";
    lines += "{\"text\": \"" + document + "\"}\n";
  }
  write_bytes(folder / "a.txt", text);
  write_bytes(folder / "a.jsonl", lines);
  launcher::Captured said;
  Log log(said.stream(), "stoa");
  const auto trained_on = [&](const char* file, std::int64_t memory_bytes) {
    return train_tokenizer(
               {.vocabulary_size = 777, .threads = 2, .memory_bytes = memory_bytes, .scratch_folder = folder.path()},
               {.files = {(folder / file).string()}}, log)
        .tokenizer.to_json();
  };
  const std::string json = trained_on("a.txt", std::int64_t{1} << 30);
  EXPECT_EQ(trained_on("a.jsonl", std::int64_t{1} << 30), json);
  EXPECT_THAT(said.text(),
              AllOf(HasSubstr(" different words in 1,111 documents, "), testing::Not(HasSubstr("left out"))));
  EXPECT_NE(trained_on("a.txt", TokenizerTraining::kLeastMemory), json);
  EXPECT_THAT(said.text(), AllOf(HasSubstr("went through a scratch file"), HasSubstr(" words were left out, ")));
}

TEST(TokenizerTrainingScale, RefusesWhatCannotWork) {
  const std::string_view texts[] = {"the other"};
  EXPECT_THAT(message_of<DataError>([&] { train_tokenizer({.vocabulary_size = 300, .memory_bytes = 33}, texts); }),
              HasSubstr("33 B of memory is too little"));
  EXPECT_THAT(message_of<DataError>([&] { train_tokenizer({.vocabulary_size = std::int64_t{1} << 40}, texts); }),
              HasSubstr("1,099,511,627,776 is too large"));
}

/// Where each merge looked through the word, this would be 4 G steps.
TEST(TokenizerTrainingScale, AWordOfMegabytesIsNoLongerWorkThanManyWords) {
  std::mt19937_64 random(5);
  std::string word(1'500'001, ' ');
  for (char& letter : word) letter = "ACGT"[random() % 4];
  const std::string same(700'003, 'a');
  const std::string_view texts[] = {word, same};
  const TrainedTokenizer trained = train_tokenizer({.vocabulary_size = 2053}, texts);
  EXPECT_EQ(trained.report.words, 2);
  EXPECT_EQ(trained.tokenizer.vocabulary_size(), 2053);
  const std::string too_long(WordTable::kLongestWord + 1, 'b');
  const std::string_view with_too_long[] = {word, same, too_long};
  const TrainedTokenizer without = train_tokenizer({.vocabulary_size = 2053}, with_too_long);
  EXPECT_EQ(without.report.words_left_out, 1);
  EXPECT_EQ(without.tokenizer.to_json(), trained.tokenizer.to_json());
}

TEST(WordHash, NeverChanges) {
  EXPECT_EQ(word_hash(""), 18045060210114981133U);
  EXPECT_EQ(word_hash("stoa"), 9516622087555972462U);
  EXPECT_EQ(word_hash(" nine bytes and more"), 10730578818095093132U);
}

}  // namespace
}  // namespace stoa::trainer
