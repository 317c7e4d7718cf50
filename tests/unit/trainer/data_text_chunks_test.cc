#include "stoa/trainer/data/text_chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/compress.h"
#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/text_documents.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Found {
  std::vector<std::string> texts;
  std::vector<std::string> places;  // FILE INDEX:LINE
  std::int64_t chunks = 0;
};

class TextChunksTest : public testing::Test {
 protected:
  void add(const char* name, std::string_view bytes) {
    write_bytes(folder_ / name, bytes);
    inputs_.files.push_back(folder_ / name);
  }

  Found read(std::int64_t chunk_bytes = 1 << 20, std::int64_t most = 1 << 30) {
    TextChunkReader reader(inputs_, chunk_bytes, most);
    ChunkDocuments documents(inputs_);
    Found found;
    TextChunk chunk;
    while (reader.next(chunk)) {
      EXPECT_EQ(chunk.number, found.chunks++);
      for (const DocumentView& document : documents.find(chunk)) {
        found.texts.emplace_back(document.text);
        found.places.push_back(fmt::format("{}:{}", chunk.file, document.line));
      }
    }
    EXPECT_EQ(reader.bytes_read(), reader.bytes_in_all());
    return found;
  }
  /// What reading one file of this content is refused with.
  std::string refusal(const char* name, std::string_view bytes, std::int64_t most = 1 << 30) {
    inputs_.files.clear();
    add(name, bytes);
    return message_of<DataError>([&] { read(std::min<std::int64_t>(1 << 20, most), most); });
  }

  ScratchFolder folder_;
  TextInputs inputs_;
};

TEST_F(TextChunksTest, DocumentsOfTextAreThoseOfTheWholeFileHoweverItIsCut) {
  std::string text = "\n\nfirst\r\n<|endoftext|>\r\n<|endoftext|>\n";
  for (int d = 0; d < 211; ++d)
    text += fmt::format("document {}\nwith <|endoftext|> inside\n<|endoftext|>x\n\n{}\n<|endoftext|>\n", d,
                        std::string(static_cast<std::size_t>(d * 7), 'a'));
  text += "last\n<|endoftext|>";
  add("a.txt", text);
  add("b.txt", "");
  add("c.txt.zst", zstd_compressed(text));
  std::vector<std::string> expected;
  for (int file = 0; file < 2; ++file)
    for (const std::string_view document : split_documents(text, "<|endoftext|>")) expected.emplace_back(document);
  for (const std::int64_t chunk_bytes : {1, 2, 17, 100, 1001, 1 << 20}) {
    const Found found = read(chunk_bytes);
    EXPECT_EQ(found.texts, expected) << chunk_bytes;
    EXPECT_EQ(found.places, read().places) << chunk_bytes;
  }
  EXPECT_EQ(read().chunks, 2);
  EXPECT_GT(read(1).chunks, 400);
}

TEST_F(TextChunksTest, AnEmptySeparatorIsABlankLine) {
  inputs_.document_separator = "";
  add("a.txt", "one\ntwo\n\nthree\r\n\r\nfour");
  EXPECT_THAT(read(1).texts, ElementsAre("one\ntwo", "three", "four"));
}

TEST_F(TextChunksTest, LinesOfJsonGiveTheirTextAndPlace) {
  add("a.jsonl",
      "\xEF\xBB\xBF{\"text\": \"one\"}\r\n\r\n "
      "\t\n{\"id\":7,\"text\":\"t\\u0077o\\n\\u00e9\\ud83d\\ude42\",\"m\":{\"text\":3}}\n");
  add("b.ndjson", "{\"text\":\"\"}\n{\"text\":\"a\\u0000b\"}");
  for (const std::int64_t chunk_bytes : {1, 20, 1 << 20}) {
    const Found found = read(chunk_bytes);
    EXPECT_THAT(found.texts, ElementsAre("one", "two\n\u00e9\U0001F642", std::string("a\0b", 3)));
    EXPECT_THAT(found.places, ElementsAre("0:1", "0:4", "1:2"));
  }
  inputs_.text_field = "body";
  EXPECT_THAT(message_of<DataError>([&] { read(); }), HasSubstr("a.jsonl:1: the object has no \"body\""));
}

TEST_F(TextChunksTest, TheWholeObjectIsGivenBesideTheText) {
  add("a.jsonl", "  {\"text\":\"x\", \"n\":1} \n");
  TextChunkReader reader(inputs_);
  ChunkDocuments documents(inputs_);
  TextChunk chunk;
  ASSERT_TRUE(reader.next(chunk));
  EXPECT_EQ(documents.find(chunk).at(0).json_object, "{\"text\":\"x\", \"n\":1}");
}

TEST_F(TextChunksTest, WhatIsNoObjectWithATextIsRefusedWithItsLine) {
  const auto line_2 = [&](std::string_view line) {
    return refusal("a.jsonl", "{\"text\":\"good\"}\n" + std::string(line) + "\n{\"text\":\"good\"}\n");
  };
  EXPECT_THAT(line_2("[1]"), HasSubstr("a.jsonl:2: not a JSON object"));
  EXPECT_THAT(line_2("{}"), HasSubstr("a.jsonl:2: the object has no \"text\""));
  EXPECT_THAT(line_2("{\"text\":null}"), HasSubstr("a.jsonl:2: \"text\" is not a string"));
  EXPECT_THAT(line_2("{\"text\":\"a\",\"text\":\"b\"}"), HasSubstr("a.jsonl:2: the object has \"text\" twice"));
  for (const char* bad :
       {"{\"text\":\"a\"", "{\"text\":\"a\"} {\"text\":\"b\"}", "{\"text\":\"\xFF\"}", "{\"text\":\"a\x01\"}",
        "{\"text\":\"\\ud800\"}", "{\"text\":\"\\udc00\\ud800\"}", "{\"text\":\"\\x\"}", "{text:1}", "nonsense"})
    EXPECT_THAT(line_2(bad), HasSubstr("a.jsonl:2: not one JSON object: ")) << bad;
  EXPECT_THAT(line_2(std::string("{\"text\":\"a\0b\"}", 14)), HasSubstr("a.jsonl:2: not one JSON object: "));
  EXPECT_THAT(line_2(std::string("\0", 1)), HasSubstr("a.jsonl:2: not one JSON object: "));
  EXPECT_THAT(line_2("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + ",\"text\":\"b\"}"),
              HasSubstr("a.jsonl:2: not one JSON object: "));
}

TEST_F(TextChunksTest, ALineOrDocumentWithoutEndIsRefusedInBoundedMemory) {
  const std::string endless(5'000'011, 'x');
  EXPECT_THAT(refusal("a.jsonl", "{}\n{\"text\":\"" + endless, 100'003),
              HasSubstr("a.jsonl:2: the document that begins here has more than 100003 bytes"));
  EXPECT_THAT(refusal("a.txt", "a\n<|endoftext|>\nb\n" + endless, 100'003), HasSubstr("a.txt:3: the document"));
  EXPECT_EQ(refusal("a.txt", std::string(100'003, 'x'), 100'003), "");
  EXPECT_THAT(refusal("a.txt", std::string(100'004, 'x'), 100'003), HasSubstr("a.txt:1: the document"));
  EXPECT_THAT(refusal("a.txt",
                      std::string(99, 'x') + "\n<|endoftext|>\n" + std::string(101, 'y') + "\n<|endoftext|>\nz\n", 114),
              HasSubstr("a.txt:3: the document"));
}

TEST_F(TextChunksTest, AFrameThatExpandsWithoutEndIsRefusedAtTheLimit) {
  add("bomb.jsonl.zst", zstd_compressed(std::string(300'000'000, ' ')));
  ASSERT_LT(std::filesystem::file_size(folder_ / "bomb.jsonl.zst"), 100'000U);
  EXPECT_THAT(message_of<DataError>([&] { read(1 << 20, 3'000'000); }),
              HasSubstr("bomb.jsonl.zst:1: the document that begins here has more than 3000000 bytes"));
}

TEST_F(TextChunksTest, GoesOnAfterAnyChunkWithTheSameChunks) {
  std::string lines;
  for (int d = 0; d < 300; ++d) lines += fmt::format("{{\"text\":\"document {}\"}}\n", d * d);
  add("a.jsonl", lines);
  add("b.jsonl.zst", zstd_compressed(lines));
  std::vector<TextChunk> chunks;
  TextChunkReader all(inputs_, 777);
  for (TextChunk chunk; all.next(chunk);) chunks.push_back(chunk);
  ASSERT_GT(chunks.size(), 10U);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const std::string& bytes = chunks[c].bytes;
    TextChunkReader reader(inputs_, 777);
    reader.go_on_after(chunks[c], chunks[c].offset + static_cast<std::int64_t>(bytes.size()),
                       chunks[c].line + std::count(bytes.begin(), bytes.end(), '\n'));
    std::size_t next = c + 1;
    for (TextChunk chunk; reader.next(chunk); ++next) {
      ASSERT_LT(next, chunks.size());
      EXPECT_EQ(chunk.bytes, chunks[next].bytes);
      EXPECT_EQ(std::tuple(chunk.number, chunk.file, chunk.offset, chunk.line),
                std::tuple(chunks[next].number, chunks[next].file, chunks[next].offset, chunks[next].line));
    }
    EXPECT_EQ(next, chunks.size());
  }
}

TEST_F(TextChunksTest, MissingEmptyAndTruncatedFilesAreDefined) {
  EXPECT_THAT(refusal("a.jsonl.gz", ""), HasSubstr("a.jsonl.gz: byte 0: the gzip content is truncated"));
  EXPECT_EQ(refusal("a.jsonl", ""), "");
  EXPECT_EQ(refusal("a.txt", "\r\n\r\n"), "");
  inputs_.files = {folder_ / "absent.txt"};
  EXPECT_THAT(message_of<DataError>([&] { TextChunkReader reader(inputs_); }), HasSubstr("absent.txt: no such file"));
}

}  // namespace
}  // namespace stoa::trainer
