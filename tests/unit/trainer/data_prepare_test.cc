#include "stoa/trainer/data/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/compress.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

class PrepareTest : public testing::Test {
 protected:
  PrepareTest() {
    for (int d = 0; d < 257; ++d)
      documents_.push_back(fmt::format("Document {} says\nthat the dog is {} years old.", d, d % 33));
    std::string text;
    for (const std::string& document : documents_) text += document + "\n<|endoftext|>\n";
    write_bytes(folder_ / "a.txt", text);
    settings_.prefix = folder_ / "made/d";
    settings_.tokenizer = folder_ / "made/too/tokenizer.json";
    settings_.text = {folder_ / "a.txt"};
  }
  ~PrepareTest() override { std::fclose(log_file_); }

  PreparedData prepare(std::int64_t vocabulary_size = 300) { return prepare_data(settings_, vocabulary_size, log_); }

  ScratchFolder folder_;
  std::FILE* log_file_ = std::tmpfile();
  Log log_{log_file_, ""};
  std::vector<std::string> documents_;
  DataSettings settings_;
};

TEST_F(PrepareTest, MakesTokenizerAndDataSetFromText) {
  const PreparedData prepared = prepare();
  const Tokenizer tokenizer = Tokenizer::load(settings_.tokenizer);
  EXPECT_EQ(tokenizer.vocabulary_size(), 300);
  const IndexedDataset dataset(settings_.prefix);
  EXPECT_EQ(prepared.documents, 257);
  EXPECT_EQ(prepared.tokens, dataset.tokens());
  EXPECT_EQ(prepared.text_bytes, static_cast<std::int64_t>(std::filesystem::file_size(folder_ / "a.txt")));
  ASSERT_EQ(dataset.documents(), 257);
  for (std::int64_t d = 0; d < 257; ++d) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.document_size(d)));
    dataset.read(dataset.document_begin(d), tokens);
    ASSERT_EQ(tokenizer.decode(tokens), documents_[static_cast<std::size_t>(d)] + "<|endoftext|>");
    ASSERT_EQ(tokens.back(), tokenizer.end_of_text());
  }
  EXPECT_TRUE(verify_checksums(settings_.prefix));
}

TEST_F(PrepareTest, DoesNothingTheSecondTime) {
  const PreparedData first = prepare();
  const auto written = std::filesystem::last_write_time(settings_.prefix + ".bin");
  std::filesystem::remove(folder_ / "a.txt");
  const PreparedData second = prepare();
  EXPECT_EQ(second.documents, first.documents);
  EXPECT_EQ(second.tokens, first.tokens);
  EXPECT_EQ(second.text_bytes, 0);
  EXPECT_EQ(std::filesystem::last_write_time(settings_.prefix + ".bin"), written);
}

TEST_F(PrepareTest, GivesTheSameBytesEachTime) {
  // Some megabytes, so that several threads have several chunks each.
  std::string text;
  for (int d = 0; d < 33'001; ++d)
    text += fmt::format("{}: {}\n<|endoftext|>\n", d, documents_[static_cast<std::size_t>(d) % 257]);
  for (int copy = 0; copy < 2; ++copy) text += text;
  write_bytes(folder_ / "a.txt", text);
  prepare();
  const std::string tokens = read_bytes(settings_.prefix + ".bin");
  const std::string index = read_bytes(settings_.prefix + ".idx");
  settings_.prefix = folder_ / "again";
  prepare();
  EXPECT_TRUE(read_bytes(settings_.prefix + ".bin") == tokens);
  EXPECT_TRUE(read_bytes(settings_.prefix + ".idx") == index);
}

TEST_F(PrepareTest, FormsCompressionAndThreadsMakeNoDifference) {
  std::string lines;
  for (int copy = 0; copy < 300; ++copy)
    for (const std::string& document : documents_) lines += Json{{"id", copy}, {"body", document}}.dump() + "\n";
  std::string text;
  for (int copy = 0; copy < 300; ++copy) text += read_bytes(folder_ / "a.txt");
  write_bytes(folder_ / "b.txt", text);
  write_bytes(folder_ / "b.jsonl", lines);
  write_bytes(folder_ / "b.jsonl.zst", zstd_compressed(lines));
  settings_.text_field = "body";
  prepare();
  std::string tokens, index;
  for (const char* name : {"b.txt", "b.jsonl", "b.jsonl.zst"})
    for (const int threads : {1, 2, 3}) {
      settings_.prefix = folder_ / (std::string(name) + std::to_string(threads)).c_str();
      settings_.text = {folder_ / name};
      prepare_data(settings_, 300, log_, threads);
      if (tokens.empty()) tokens = read_bytes(settings_.prefix + ".bin");
      if (index.empty()) index = read_bytes(settings_.prefix + ".idx");
      EXPECT_TRUE(read_bytes(settings_.prefix + ".bin") == tokens) << settings_.prefix;
      EXPECT_TRUE(read_bytes(settings_.prefix + ".idx") == index) << settings_.prefix;
      EXPECT_TRUE(verify_checksums(settings_.prefix));
    }
  EXPECT_EQ(IndexedDataset(settings_.prefix).documents(), 300 * 257);
}

TEST_F(PrepareTest, ABadLineIsNamedAndNothingIsLeft) {
  prepare();
  write_bytes(folder_ / "bad.jsonl", "{\"text\":\"good\"}\n{\"text\":7}\n");
  settings_.text = {folder_ / "bad.jsonl"};
  settings_.prefix = folder_ / "bad/d";
  EXPECT_THAT(message_of<DataError>([&] { prepare(); }), HasSubstr("bad.jsonl:2: \"text\" is not a string"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "bad"));
}

TEST_F(PrepareTest, UsesATokenizerThatIsThere) {
  prepare();
  const auto written = std::filesystem::last_write_time(settings_.tokenizer);
  settings_.prefix = folder_ / "second";
  prepare();
  EXPECT_EQ(std::filesystem::last_write_time(settings_.tokenizer), written);
}

TEST_F(PrepareTest, RefusesATokenizerLargerThanTheModelAndTakesASmallerOne) {
  prepare();
  EXPECT_NO_THROW(prepare(301));  // a model whose maker rounded its vocabulary up
  settings_.prefix = folder_ / "second";
  EXPECT_THAT(message_of<DataError>([&] { prepare(299); }),
              HasSubstr("tokenizer.json: the tokenizer has 300 entries, more than model.vocabulary_size 299"));
}

TEST_F(PrepareTest, RefusesADataSetWithTokensOutsideTheVocabulary) {
  prepare();
  settings_.tokenizer.clear();
  EXPECT_EQ(prepare(300).documents, 257);
  EXPECT_THAT(message_of<DataError>([&] { prepare(257); }), HasSubstr("but the vocabulary has ids 0 to 256"));
}

TEST_F(PrepareTest, NamesWhatIsMissing) {
  settings_.text = {folder_ / "a.txt", folder_ / "b.txt"};
  EXPECT_THAT(message_of<DataError>([&] { prepare(); }), HasSubstr("b.txt: no such file"));
  settings_.text = {};
  EXPECT_THAT(message_of<DataError>([&] { prepare(); }),
              HasSubstr("made/d.idx: no such data set, and data.text names no files"));
  write_bytes(folder_ / "empty.txt", "\n<|endoftext|>\n");
  settings_.text = {folder_ / "empty.txt"};
  EXPECT_THAT(message_of<DataError>([&] { prepare(); }), HasSubstr("empty.txt: no text in it"));
}

TEST_F(PrepareTest, RefusesADataSetWhoseTokensAreGone) {
  prepare();
  std::filesystem::remove(settings_.prefix + ".bin");
  EXPECT_THAT(message_of<DataError>([&] { prepare(); }), HasSubstr("d.bin: no such file"));
}

}  // namespace
}  // namespace stoa::trainer
