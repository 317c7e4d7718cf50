#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/indexed_dataset.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string raw(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

/// The two documents 7 8 9 | 65499 as Megatron writes them with 16-bit tokens, by hand.
std::string small_index() {
  return std::string("MMIDIDX\0\0", 9) + raw<std::uint64_t>({1}) + raw<std::uint8_t>({8}) + raw<std::uint64_t>({2, 3}) +
         raw<std::int32_t>({3, 1}) + raw<std::int64_t>({0, 6}) + raw<std::int64_t>({0, 1, 2});
}
std::string small_tokens() { return raw<std::uint16_t>({7, 8, 9, 65499}); }

class IndexedDatasetTest : public testing::Test {
 protected:
  std::vector<std::int32_t> all_tokens() const {
    const IndexedDataset dataset(prefix_);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.tokens()));
    dataset.read(0, tokens);
    return tokens;
  }

  void write(std::string_view index, std::string_view tokens) const {
    write_bytes(folder_ / "d.idx", index);
    write_bytes(folder_ / "d.bin", tokens);
  }

  /// What opening says about the small index with the bytes at `at` replaced.
  std::string refusal(std::size_t at, std::string_view bytes) const {
    std::string index = small_index();
    index.replace(at, bytes.size(), bytes);
    write(index, small_tokens());
    return message_of<DataError>([&] { const IndexedDataset dataset(prefix_); });
  }

  ScratchFolder folder_;
  std::filesystem::path prefix_ = folder_ / "d";
};

TEST_F(IndexedDatasetTest, WritesMegatronsBytes) {
  IndexedDatasetWriter writer(prefix_, 65499);
  writer.add_document(std::vector<std::int32_t>{7, 8, 9});
  writer.add_document(std::vector<std::int32_t>{65498});
  writer.finish();
  EXPECT_EQ(read_bytes(folder_ / "d.idx"), small_index());
  EXPECT_EQ(read_bytes(folder_ / "d.bin"), raw<std::uint16_t>({7, 8, 9, 65498}));
}

TEST_F(IndexedDatasetTest, TakesFourBytesFromAVocabularyOf65500On) {
  IndexedDatasetWriter writer(prefix_, 65500);
  writer.add_document(std::vector<std::int32_t>{65499});
  writer.finish();
  EXPECT_EQ(read_bytes(folder_ / "d.idx")[17], 4);
  EXPECT_EQ(read_bytes(folder_ / "d.bin"), raw<std::int32_t>({65499}));
}

TEST_F(IndexedDatasetTest, ReadsBackEveryDocument) {
  constexpr int kDocuments = 257;
  IndexedDatasetWriter writer(prefix_, 70000);
  for (int d = 0; d < kDocuments; ++d) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(d % 33));
    std::iota(tokens.begin(), tokens.end(), 200 * d);
    writer.add_document(tokens);
  }
  writer.finish();
  const IndexedDataset dataset(prefix_);
  ASSERT_EQ(dataset.documents(), kDocuments);
  for (int d = 0; d < kDocuments; ++d) {
    std::vector<std::int32_t> expected(static_cast<std::size_t>(d % 33));
    std::iota(expected.begin(), expected.end(), 200 * d);
    std::vector<std::int32_t> found(static_cast<std::size_t>(dataset.document_size(d)));
    dataset.read(dataset.document_begin(d), found);
    EXPECT_EQ(found, expected) << "document " << d;
  }
}

TEST_F(IndexedDatasetTest, ReadsEveryWidthOfToken) {
  const auto index = [](std::uint8_t type) {
    return std::string("MMIDIDX\0\0", 9) + raw<std::uint64_t>({1}) + raw<std::uint8_t>({type}) +
           raw<std::uint64_t>({1, 2}) + raw<std::int32_t>({2}) + raw<std::int64_t>({0}) + raw<std::int64_t>({0, 1});
  };
  write(index(1), raw<std::uint8_t>({3, 255}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, 255));
  write(index(2), raw<std::int8_t>({3, -1}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, -1));
  write(index(3), raw<std::int16_t>({3, 32767}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, 32767));
  write(index(4), raw<std::int32_t>({3, 65536}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, 65536));
  write(index(5), raw<std::int64_t>({3, 65536}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, 65536));
  write(index(8), raw<std::uint16_t>({3, 65535}));
  EXPECT_THAT(all_tokens(), ElementsAre(3, 65535));
}

TEST_F(IndexedDatasetTest, RefusesA64BitTokenThatNoIdCanBe) {
  write(std::string("MMIDIDX\0\0", 9) + raw<std::uint64_t>({1}) + raw<std::uint8_t>({5}) + raw<std::uint64_t>({1, 2}) +
            raw<std::int32_t>({2}) + raw<std::int64_t>({0}) + raw<std::int64_t>({0, 1}),
        raw<std::int64_t>({3, std::int64_t{1} << 32}));
  EXPECT_THAT(message_of<DataError>([&] { all_tokens(); }), HasSubstr("d.bin: byte 8: token 4294967296"));
}

TEST_F(IndexedDatasetTest, ReadsSequencesGroupedIntoDocumentsAndModes) {
  const std::string index = std::string("MMIDIDX\0\0", 9) + raw<std::uint64_t>({1}) + raw<std::uint8_t>({8}) +
                            raw<std::uint64_t>({3, 2}) + raw<std::int32_t>({1, 0, 2}) + raw<std::int64_t>({0, 2, 2}) +
                            raw<std::int64_t>({0, 3}) + raw<std::int8_t>({0, 1, 0});
  write(index, raw<std::uint16_t>({1, 2, 3}));
  const IndexedDataset dataset(prefix_);
  EXPECT_EQ(dataset.documents(), 1);
  EXPECT_EQ(dataset.document_size(0), 3);
}

TEST_F(IndexedDatasetTest, NamesTheMissingFile) {
  EXPECT_THAT(message_of<DataError>([&] { const IndexedDataset dataset(prefix_); }), HasSubstr("d.idx: no such file"));
  write_bytes(folder_ / "d.idx", small_index());
  EXPECT_THAT(message_of<DataError>([&] { const IndexedDataset dataset(prefix_); }), HasSubstr("d.bin: no such file"));
}

TEST_F(IndexedDatasetTest, RefusesAWrongHeaderWithItsByte) {
  EXPECT_THAT(refusal(0, "X"), HasSubstr("d.idx: byte 0: not an index"));
  EXPECT_THAT(refusal(9, raw<std::uint64_t>({2})), HasSubstr("byte 9: version 2"));
  EXPECT_THAT(refusal(17, raw<std::uint8_t>({6})), HasSubstr("byte 17: type 6 is a float"));
  EXPECT_THAT(refusal(17, raw<std::uint8_t>({7})), HasSubstr("byte 17: type 7 is a float"));
  EXPECT_THAT(refusal(17, raw<std::uint8_t>({9})), HasSubstr("byte 17: type 9 is unknown"));
}

TEST_F(IndexedDatasetTest, RefusesHugeCountsBeforeItAllocates) {
  constexpr std::uint64_t kHuge = 0xFFFFFFFFFFFFFFFFU;
  EXPECT_THAT(refusal(18, raw<std::uint64_t>({kHuge})),
              HasSubstr("byte 18: 18446744073709551615 sequences do not fit"));
  EXPECT_THAT(refusal(26, raw<std::uint64_t>({kHuge})), HasSubstr("byte 26: 18446744073709551615 document boundaries"));
  // 12 S + 8 D modulo 2^64 is the right size here.
  EXPECT_THAT(refusal(18, raw<std::uint64_t>({(std::uint64_t{1} << 62) + 2})), HasSubstr("sequences do not fit"));
  EXPECT_THAT(refusal(26, raw<std::uint64_t>({(std::uint64_t{1} << 61) + 3})), HasSubstr("document boundaries"));
  EXPECT_THAT(refusal(26, raw<std::uint64_t>({0})), HasSubstr("byte 26: 0 document boundaries"));
  EXPECT_THAT(refusal(18, raw<std::uint64_t>({1})), HasSubstr("need 70 bytes (71 with modes), but the file has 82"));
}

TEST_F(IndexedDatasetTest, RefusesLengthsOffsetsAndBoundariesThatDisagree) {
  EXPECT_THAT(refusal(38, raw<std::int32_t>({-1})), HasSubstr("byte 38: sequence 1 has length -1"));
  EXPECT_THAT(refusal(50, raw<std::int64_t>({4})),
              HasSubstr("byte 50: sequence 1 starts at byte 4 of .bin, but the sequences before it end at 6"));
  EXPECT_THAT(refusal(58, raw<std::int64_t>({1})), HasSubstr("byte 58: document boundary 0 is 1"));
  EXPECT_THAT(refusal(66, raw<std::int64_t>({3})), HasSubstr("byte 66: document boundary 1 is 3"));
  EXPECT_THAT(refusal(66, raw<std::int64_t>({-1})), HasSubstr("byte 66: document boundary 1 is -1"));
  EXPECT_THAT(refusal(74, raw<std::int64_t>({1})), HasSubstr("byte 74: document boundary 2 is 1"));
  EXPECT_THAT(refusal(38, raw<std::int32_t>({2})),
              HasSubstr("5 tokens of 2 bytes are 10 bytes, but the .bin beside it has 8"));
}

TEST_F(IndexedDatasetTest, RefusesEveryTruncation) {
  for (std::size_t size = 0; size < small_index().size(); ++size) {
    write(small_index().substr(0, size), small_tokens());
    EXPECT_THROW(const IndexedDataset dataset(prefix_), DataError) << size << " bytes";
  }
  for (std::size_t size = 0; size < small_tokens().size(); ++size) {
    write(small_index(), small_tokens().substr(0, size));
    EXPECT_THROW(const IndexedDataset dataset(prefix_), DataError) << size << " bytes";
  }
}

TEST_F(IndexedDatasetTest, VerifyNamesTheFirstTokenOutsideTheVocabulary) {
  write(small_index(), small_tokens());
  const IndexedDataset dataset(prefix_);
  dataset.verify_tokens(65500);
  EXPECT_THAT(message_of<DataError>([&] { dataset.verify_tokens(65499); }),
              HasSubstr("d.bin: byte 6: token 3 of document 1 is 65499, but the vocabulary has ids 0 to 65498"));
  EXPECT_THAT(message_of<DataError>([&] { dataset.verify_tokens(9); }), HasSubstr("token 2 of document 0 is 9"));
}

TEST_F(IndexedDatasetTest, ChecksumsFindOneFlippedBit) {
  write(small_index(), small_tokens());
  EXPECT_FALSE(verify_checksums(prefix_));
  write_checksums(prefix_);
  EXPECT_TRUE(verify_checksums(prefix_));
  std::string tokens = small_tokens();
  tokens[5] ^= 1;
  write_bytes(folder_ / "d.bin", tokens);
  EXPECT_THAT(message_of<DataError>([&] { verify_checksums(prefix_); }), HasSubstr("d.bin: bytes 0 to 8: xxh3-128 is"));
  write_bytes(folder_ / "d.bin", "");
  EXPECT_THAT(message_of<DataError>([&] { verify_checksums(prefix_); }),
              HasSubstr("d.bin: 0 bytes, but 8 were written"));
}

TEST_F(IndexedDatasetTest, WriterLeavesNothingBehindWithoutFinish) {
  { IndexedDatasetWriter(prefix_, 300).add_document(std::vector<std::int32_t>{1}); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(IndexedDatasetTest, WriterKeepsASecondWriterOut) {
  IndexedDatasetWriter first(prefix_, 300);
  EXPECT_THAT(message_of<DataError>([&] { const IndexedDatasetWriter second(prefix_, 300); }),
              HasSubstr("another process is writing"));
  first.finish();
  EXPECT_EQ(IndexedDataset(prefix_).documents(), 0);
}

TEST_F(IndexedDatasetTest, WriterRefusesATokenOutsideTheVocabulary) {
  IndexedDatasetWriter writer(prefix_, 300);
  EXPECT_THAT(message_of<DataError>([&] {
                writer.add_document(std::vector<std::int32_t>{299, 300});
              }),
              HasSubstr("document 0 has token 300"));
}

TEST_F(IndexedDatasetTest, ANewDataSetTakesTheChecksumsOfTheOldOneAway) {
  write(small_index(), small_tokens());
  write_checksums(prefix_);
  IndexedDatasetWriter writer(prefix_, 300);
  writer.add_document(std::vector<std::int32_t>{5});
  writer.finish();
  EXPECT_FALSE(verify_checksums(prefix_));
  EXPECT_THAT(all_tokens(), ElementsAre(5));
}

}  // namespace
}  // namespace stoa::trainer
