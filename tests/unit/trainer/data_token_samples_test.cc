#include "stoa/trainer/data/token_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

std::vector<std::uint64_t> images(const Permutation& permutation, std::uint64_t n) {
  std::vector<std::uint64_t> values(n);
  for (std::uint64_t i = 0; i < n; ++i) values[i] = permutation(i);
  return values;
}

TEST(Permutation, IsABijectionForEveryN) {
  for (std::uint64_t n = 1; n <= 1030; n = n < 70 ? n + 1 : n + 37) {
    std::vector<std::uint64_t> values = images(Permutation(n, 3, 5), n);
    std::sort(values.begin(), values.end());
    for (std::uint64_t i = 0; i < n; ++i) ASSERT_EQ(values[i], i) << "n " << n;
  }
}

TEST(Permutation, StaysInsideForTheLargestN) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 62;
  std::set<std::uint64_t> seen;
  for (const std::uint64_t n : {kLargest, kLargest - 1, kLargest / 2 + 1}) {
    const Permutation permutation(n, 1, 0);
    for (std::uint64_t i = 0; i < 257; ++i) ASSERT_LT(permutation(n - 1 - i), n);
  }
}

TEST(Permutation, RefusesNothingToPermute) { EXPECT_THROW(Permutation(0, 1, 0), InternalError); }

TEST(Permutation, DiffersBySeedAndNumber) {
  const auto reference = images(Permutation(257, 1, 0), 257);
  EXPECT_EQ(images(Permutation(257, 1, 0), 257), reference);
  EXPECT_NE(images(Permutation(257, 2, 0), 257), reference);
  EXPECT_NE(images(Permutation(257, 1, 1), 257), reference);
}

/// Over many keys each value falls on each place about equally often: chi-squared over n^2 cells, whose mean is n (n -
/// 1) and whose deviation is about sqrt(2) n. Five deviations.
TEST(Permutation, SpreadsEachIndexEvenlyOverTheKeys) {
  constexpr std::uint64_t kN = 33;
  constexpr int kKeys = 3300;
  std::vector<double> counts(kN * kN);
  for (int key = 0; key < kKeys; ++key) {
    const Permutation permutation(kN, 11, static_cast<std::uint64_t>(key));
    for (std::uint64_t i = 0; i < kN; ++i) counts[i * kN + permutation(i)] += 1;
  }
  const double expected = static_cast<double>(kKeys) / kN;
  double chi_squared = 0;
  for (const double count : counts) chi_squared += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_squared, kN * (kN - 1) + 5 * 1.42 * kN);
}

/// The order of a run is on disk in effect: a resumed run must find it again. Computed once and written down here.
TEST(Permutation, NeverChangesBetweenReleases) {
  EXPECT_THAT(images(Permutation(10, 1, 0), 10), testing::ElementsAreArray({8, 9, 3, 1, 5, 7, 6, 0, 2, 4}));
  EXPECT_EQ(Permutation(1'000'003, 42, 7)(999'999), 495792U);
}

class TokenSamplesTest : public testing::Test {
 protected:
  static constexpr std::int64_t kDocuments = 257;

  /// Document d is the numbers 100 d, 100 d + 1, ...; its length is odd and small.
  TokenSamplesTest() {
    IndexedDatasetWriter writer(folder_ / "d", 100 * kDocuments);
    for (std::int64_t d = 0; d < kDocuments; ++d) {
      std::vector<std::int32_t> tokens(static_cast<std::size_t>(1 + 7 * d % 65));
      std::iota(tokens.begin(), tokens.end(), static_cast<std::int32_t>(100 * d));
      writer.add_document(tokens);
    }
    writer.finish();
    dataset_.emplace(folder_ / "d");
    settings_.held_out_fraction = 0.2;
    settings_.seed = 9;
  }

  struct Sample {
    std::vector<std::int32_t> inputs;
    std::vector<std::int32_t> targets;
    bool operator==(const Sample&) const = default;
  };

  static Sample read(const TokenSamples& samples, std::int64_t index, std::int64_t context) {
    Sample sample{std::vector<std::int32_t>(static_cast<std::size_t>(context)),
                  std::vector<std::int32_t>(static_cast<std::size_t>(context))};
    samples.read(index, sample.inputs, sample.targets);
    return sample;
  }

  static std::set<std::int32_t> documents_of_an_epoch(const TokenSamples& samples, std::int64_t context) {
    std::set<std::int32_t> documents;
    for (std::int64_t i = 0; i < samples.samples_per_epoch(); ++i) {
      const Sample sample = read(samples, i, context);
      for (const auto& tokens : {sample.inputs, sample.targets})
        for (const std::int32_t token : tokens) documents.insert(token / 100);
    }
    return documents;
  }

  ScratchFolder folder_;
  std::optional<IndexedDataset> dataset_;
  DataSettings settings_;
};

TEST_F(TokenSamplesTest, TargetsAreTheInputsShiftedByOne) {
  const TokenSamples samples(*dataset_, settings_, 33, DataSplit::kTrain);
  for (std::int64_t i = 0; i < samples.samples_per_epoch(); ++i) {
    const Sample sample = read(samples, i, 33);
    for (std::size_t t = 0; t + 1 < 33; ++t) ASSERT_EQ(sample.targets[t], sample.inputs[t + 1]);
    for (std::size_t t = 0; t < 33; ++t) {
      const bool same_document = sample.targets[t] == sample.inputs[t] + 1;
      const bool next_document = sample.targets[t] % 100 == 0;
      ASSERT_TRUE(same_document || next_document) << sample.inputs[t] << " then " << sample.targets[t];
    }
  }
}

TEST_F(TokenSamplesTest, AnEpochReadsEachInputTokenOnce) {
  settings_.held_out_fraction = 0;
  const TokenSamples samples(*dataset_, settings_, 7, DataSplit::kTrain);
  std::vector<std::int32_t> seen;
  for (std::int64_t i = 0; i < samples.samples_per_epoch(); ++i) {
    const Sample sample = read(samples, i, 7);
    seen.insert(seen.end(), sample.inputs.begin(), sample.inputs.end());
  }
  std::sort(seen.begin(), seen.end());
  std::vector<std::int32_t> all(static_cast<std::size_t>(dataset_->tokens()));
  dataset_->read(0, all);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(static_cast<std::int64_t>(seen.size()), (samples.tokens() - 1) / 7 * 7);
  EXPECT_TRUE(std::includes(all.begin(), all.end(), seen.begin(), seen.end()));
}

TEST_F(TokenSamplesTest, ASampleIsTheSameWhateverWasAskedBefore) {
  const TokenSamples samples(*dataset_, settings_, 17, DataSplit::kTrain);
  const std::int64_t count = 2 * samples.samples_per_epoch();
  std::vector<Sample> forward;
  for (std::int64_t i = 0; i < count; ++i) forward.push_back(read(samples, i, 17));
  const TokenSamples other_rank(*dataset_, settings_, 17, DataSplit::kTrain);
  for (std::int64_t i = count - 1; i >= 0; --i)
    ASSERT_EQ(read(other_rank, i, 17), forward[static_cast<std::size_t>(i)]) << i;
}

TEST_F(TokenSamplesTest, EachEpochHasAnOrderOfItsOwn) {
  const TokenSamples samples(*dataset_, settings_, 17, DataSplit::kTrain);
  const std::int64_t epoch = samples.samples_per_epoch();
  std::vector<std::vector<std::int32_t>> first;
  std::vector<std::vector<std::int32_t>> second;
  for (std::int64_t i = 0; i < epoch; ++i) {
    first.push_back(read(samples, i, 17).inputs);
    second.push_back(read(samples, epoch + i, 17).inputs);
  }
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST_F(TokenSamplesTest, HeldOutSamplesKeepTheirOrder) {
  const TokenSamples samples(*dataset_, settings_, 17, DataSplit::kHeldOut);
  const std::int64_t epoch = samples.samples_per_epoch();
  for (std::int64_t i = 0; i < epoch; ++i) ASSERT_EQ(read(samples, i, 17), read(samples, epoch + i, 17));
}

TEST_F(TokenSamplesTest, HeldOutDocumentsAreNeverTrainedOn) {
  const TokenSamples train(*dataset_, settings_, 1, DataSplit::kTrain);
  const TokenSamples held_out(*dataset_, settings_, 1, DataSplit::kHeldOut);
  const std::set<std::int32_t> trained = documents_of_an_epoch(train, 1);
  const std::set<std::int32_t> kept = documents_of_an_epoch(held_out, 1);
  for (const std::int32_t document : kept) EXPECT_FALSE(trained.contains(document)) << document;
  EXPECT_EQ(trained.size() + kept.size(), static_cast<std::size_t>(kDocuments));
  EXPECT_EQ(train.tokens() + held_out.tokens(), dataset_->tokens());
  // 0.2 of 257 documents: 51, within four deviations of a binomial choice (6.4).
  EXPECT_NEAR(static_cast<double>(kept.size()), 51.4, 4 * 6.4);
}

TEST_F(TokenSamplesTest, TheHeldOutChoiceDependsOnTheSeedAlone) {
  const auto kept = [&](std::uint64_t seed, std::int64_t context) {
    settings_.seed = seed;
    return documents_of_an_epoch(TokenSamples(*dataset_, settings_, context, DataSplit::kHeldOut), context);
  };
  EXPECT_EQ(kept(9, 1), kept(9, 1));
  EXPECT_NE(kept(9, 1), kept(10, 1));
}

TEST_F(TokenSamplesTest, SaysHowManyTokensAreMissing) {
  settings_.held_out_fraction = 0;
  EXPECT_THAT(
      message_of<DataError>([&] { TokenSamples(*dataset_, settings_, 33, DataSplit::kHeldOut); }),
      HasSubstr("the held-out split has 0 tokens in 0 of 257 documents (data.held_out_fraction 0), but one sample of "
                "model.context_length 33 needs 34"));
  const std::int64_t all = dataset_->tokens();
  EXPECT_EQ(TokenSamples(*dataset_, settings_, all - 1, DataSplit::kTrain).samples_per_epoch(), 1);
  EXPECT_THROW(TokenSamples(*dataset_, settings_, all, DataSplit::kTrain), DataError);
}

TEST_F(TokenSamplesTest, RefusesSpansOfAnotherLength) {
  const TokenSamples samples(*dataset_, settings_, 33, DataSplit::kTrain);
  std::vector<std::int32_t> inputs(33);
  std::vector<std::int32_t> targets(32);
  EXPECT_THROW(samples.read(0, inputs, targets), InternalError);
  targets.resize(33);
  EXPECT_THROW(samples.read(-1, inputs, targets), InternalError);
}

}  // namespace
}  // namespace stoa::trainer
