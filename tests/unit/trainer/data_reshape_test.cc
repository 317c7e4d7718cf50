#include "stoa/trainer/data/dataset_reshape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/dataset_stats.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_files.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/indexed_dataset_index.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Documents of sequences of tokens.
using Documents = std::vector<std::vector<std::vector<std::int32_t>>>;

class ReshapeTest : public testing::Test {
 protected:
  ~ReshapeTest() override { std::fclose(log_file_); }

  std::filesystem::path write(const char* name, const Documents& documents) {
    std::vector<std::int32_t> lengths;
    std::vector<std::int64_t> first = {0};
    NewDataset dataset(folder_ / name);
    for (const auto& document : documents) {
      for (const auto& sequence : document) {
        for (const std::int32_t token : sequence) {
          const auto narrow = static_cast<std::uint16_t>(token);
          dataset.append(std::as_bytes(std::span(&narrow, 1)));
        }
        lengths.push_back(static_cast<std::int32_t>(sequence.size()));
      }
      first.push_back(static_cast<std::int64_t>(lengths.size()));
    }
    dataset.publish({indexed::kUint16, first.back(), static_cast<std::int64_t>(documents.size()),
                     [&](std::int64_t s) { return lengths[static_cast<std::size_t>(s)]; },
                     [&](std::int64_t d) { return first[static_cast<std::size_t>(d)]; }});
    return folder_ / name;
  }

  static Documents read(const std::filesystem::path& prefix) {
    const IndexedDataset dataset(prefix);
    const DatasetIndex index(prefix);
    Documents documents;
    std::int64_t at = 0;
    for (std::int64_t d = 0; d < index.documents(); ++d) {
      documents.emplace_back();
      for (std::int64_t s = index.first_sequence(d); s < index.first_sequence(d + 1); ++s) {
        documents.back().emplace_back(static_cast<std::size_t>(index.sequence_size(s)));
        dataset.read(at, documents.back().back());
        at += index.sequence_size(s);
      }
    }
    return documents;
  }

  ScratchFolder folder_;
  std::FILE* log_file_ = std::tmpfile();
  Log log_{log_file_, ""};
  const Documents a_ = {{{1, 2}, {3}}, {}, {{}, {4, 5, 6}}}, b_ = {}, c_ = {{{7}}};
};

TEST_F(ReshapeTest, MergingKeepsSequencesAndDocumentsAlsoEmptyOnes) {
  const std::vector<std::filesystem::path> inputs = {write("b", b_), write("a", a_), write("b2", b_), write("c", c_)};
  const ReshapedDataset made = merge_datasets(inputs, folder_ / "m", 2, log_);
  EXPECT_EQ(made.documents, 4);
  EXPECT_EQ(made.sequences, 5);
  EXPECT_EQ(made.tokens, 7);
  EXPECT_EQ(read(folder_ / "m"), (Documents{a_[0], a_[1], a_[2], c_[0]}));
  EXPECT_TRUE(verify_checksums(folder_ / "m"));
}

TEST_F(ReshapeTest, WiderTokensWidenTheMerged) {
  {
    IndexedDatasetWriter writer(folder_ / "w", 70'001);
    writer.add_document(std::vector<std::int32_t>{70'000, 1});
    writer.finish();
  }
  const std::vector<std::filesystem::path> inputs = {write("a", a_), folder_ / "w"};
  EXPECT_EQ(merge_datasets(inputs, folder_ / "m", 1, log_).type, indexed::kInt32);
  EXPECT_EQ(read(folder_ / "m"), (Documents{a_[0], a_[1], a_[2], {{70'000, 1}}}));
}

TEST_F(ReshapeTest, PartsAreTheDocumentsBetweenTheCuts) {
  const auto input = write("a", a_);
  const auto made = split_dataset(input, folder_ / "p", std::vector<std::int64_t>{0, 1, 3}, 1, log_);
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[1].prefix, folder_ / "p-00001-of-00002");
  EXPECT_EQ(read(made[0].prefix), Documents{a_[0]});
  EXPECT_EQ(read(made[1].prefix), (Documents{a_[1], a_[2]}));
  EXPECT_TRUE(verify_checksums(made[1].prefix));
}

TEST_F(ReshapeTest, CutsStandAtTheNearestBoundary) {
  const std::vector<std::int64_t> begins = {0, 10, 19, 31, 40};
  EXPECT_THAT(cuts_by_tokens(begins, std::vector<double>{1, 1}), ElementsAre(0, 2, 4));
  EXPECT_THAT(cuts_by_tokens(begins, std::vector<double>{0.7, 0.3}), ElementsAre(0, 3, 4));
  EXPECT_THAT(cuts_by_tokens(begins, std::vector<double>{1}), ElementsAre(0, 4));
  EXPECT_THAT(message_of<UsageError>([&] {
                cuts_by_tokens(begins, std::vector<double>{0.99, 0.01});
              }),
              HasSubstr("part 1 would have none"));
  EXPECT_THAT(cuts_by_documents(7, 3), ElementsAre(0, 3, 6, 7));
}

TEST_F(ReshapeTest, DamageIsNotCopiedAndNothingIsLeft) {
  const auto input = write("a", a_);
  std::string bin = read_bytes(folder_ / "a.bin");
  bin[3] ^= 1;
  write_bytes(folder_ / "a.bin", bin);
  const std::vector<std::filesystem::path> inputs = {input};
  EXPECT_THAT(message_of<DataError>([&] { merge_datasets(inputs, folder_ / "m", 2, log_); }),
              HasSubstr("a.bin: bytes 0 to 12: xxh3-128 is"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "m.bin.partial"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "m.idx"));
}

TEST_F(ReshapeTest, StatisticsAreTheSameForAnyNumberOfThreads) {
  Documents documents;
  for (int d = 0; d < 1001; ++d)
    documents.push_back({std::vector<std::int32_t>(static_cast<std::size_t>(d % 40), d % 7)});
  const IndexedDataset dataset(write("s", documents));
  for (const int threads : {1, 3}) {
    const DatasetStats stats = dataset_stats(dataset, 3, 2, threads);
    EXPECT_EQ(stats.documents, 1001);
    EXPECT_EQ(stats.tokens, dataset.tokens());
    EXPECT_EQ(stats.distinct_tokens, 7);
    // 40 lengths of 7 tokens each, of which the empty document is one for all tokens.
    EXPECT_EQ(stats.duplicate_documents, 1001 - (39 * 7 + 1));
    EXPECT_EQ(stats.quantiles.front().tokens, 0);
    EXPECT_EQ(stats.quantiles.back().tokens, 39);
    EXPECT_EQ(stats.lengths.front().documents, 26);
    EXPECT_EQ(stats.lengths.back().least, 32);
    ASSERT_EQ(stats.most_frequent.size(), 2U);
    EXPECT_GE(stats.most_frequent[0].count, stats.most_frequent[1].count);
    std::int64_t with_3 = 0, ending_with_3 = 0;
    for (int d = 0; d < 1001; ++d)
      if (d % 7 == 3) {
        with_3 += d % 40;
        ending_with_3 += d % 40 > 0;
      }
    EXPECT_EQ(stats.end_of_text_tokens, with_3);
    EXPECT_EQ(stats.documents_ending_with_it, ending_with_3);
  }
}

}  // namespace
}  // namespace stoa::trainer
