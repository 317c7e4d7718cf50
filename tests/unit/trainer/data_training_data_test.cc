#include "stoa/trainer/data/training_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/mixture_cases.h"

namespace stoa::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::size_t source_of(const ReadSample& sample) { return std::size_t(sample.inputs[0] / kSourceStep); }

TEST(TrainingData, AMixtureDrawsEachSourceByItsWeight) {
  const MixtureFolder folder;
  const TrainingData data = folder.open(1000, 8);
  std::vector<std::int64_t> counts(3);
  for (std::int64_t i = 0; i < MixturePlan::kBlock; ++i) ++counts[source_of(read_sample(data.train(), i))];
  EXPECT_THAT(counts, testing::ElementsAre(39'322, 19'661, 6553));
}

TEST(TrainingData, EachEpochOfASourceVisitsEachOfItsSamplesOnce) {
  const MixtureFolder folder;
  const TrainingData data = folder.open(1000, 8);
  std::vector<std::map<std::vector<std::int32_t>, int>> visits(3);
  for (std::int64_t i = 0; i < MixturePlan::kBlock; ++i) {
    const ReadSample sample = read_sample(data.train(), i);
    ++visits[source_of(sample)][sample.inputs];
  }
  for (std::size_t s = 0; s < 3; ++s) {
    const std::int64_t epoch = data.sources()[s].train.samples_per_epoch();
    const std::int64_t drawn = data.plan()->drawn_before(MixturePlan::kBlock)[s];
    EXPECT_EQ(std::ssize(visits[s]), epoch) << s;
    for (const auto& [inputs, count] : visits[s]) {
      EXPECT_GE(count, drawn / epoch) << s;
      EXPECT_LE(count, (drawn + epoch - 1) / epoch) << s;
    }
  }
}

TEST(TrainingData, SourcesOfOneSizeHaveOrdersOfTheirOwn) {
  MixtureFolder folder;
  folder.write("code", 1, 65);  // as many documents as wiki
  const TrainingData data = folder.open(10, 8);
  const auto order = [&](std::size_t s) {
    std::vector<std::int32_t> first;
    for (std::int64_t i = 0; i < 33; ++i)
      first.push_back(read_sample(data.sources()[s].train, i).inputs[0] % kSourceStep);
    return first;
  };
  EXPECT_NE(order(0), order(1));
}

TEST(TrainingData, HeldOutDocumentsOfAMixtureAreNeverTrainedOn) {
  const MixtureFolder folder;
  const TrainingData data = folder.open(1000, 8);
  const auto documents = [](const SampleStream& stream, std::int64_t samples) {
    std::set<std::int32_t> found;
    for (std::int64_t i = 0; i < samples; ++i)
      for (const std::int32_t token : read_sample(stream, i).inputs) found.insert(token / kDocumentStep);
    return found;
  };
  ASSERT_NE(data.held_out(), nullptr);
  const auto trained = documents(data.train(), 5000);
  const auto held_out = documents(*data.held_out(), data.held_out()->samples());
  for (const std::int32_t document : held_out) EXPECT_FALSE(trained.contains(document)) << document;
  std::set<std::int32_t> sources;
  for (const std::int32_t document : held_out) sources.insert(document * kDocumentStep / kSourceStep);
  EXPECT_EQ(sources.size(), 3U);
  EXPECT_THROW(data.held_out()->read(data.held_out()->samples(), {}), InternalError);
}

TEST(TrainingData, AStageChangesTheSources) {
  MixtureFolder folder;
  folder.settings().stages = {{.from_step = 100, .weights = {{"wiki", 0}, {"code", 0}}}};
  const TrainingData data = folder.open(200, 8);
  std::set<std::size_t> before, after;
  for (std::int64_t i = 0; i < 800; ++i) before.insert(source_of(read_sample(data.train(), i)));
  for (std::int64_t i = 800; i < 1600; ++i) after.insert(source_of(read_sample(data.train(), i)));
  EXPECT_EQ(before.size(), 3U);
  EXPECT_THAT(after, testing::ElementsAre(2U));
}

TEST(TrainingData, AMixtureThatEndsBeforeTheRunIsRefusedWithTheArithmetic) {
  MixtureFolder folder;
  for (DataSource& source : folder.settings().sources) source.max_epochs = 2;
  const TrainingData short_run = folder.open(1, 1);
  std::int64_t available = 0;
  for (const OpenSource& source : short_run.sources()) available += source.available();
  EXPECT_NO_THROW(folder.open(available, 1));
  EXPECT_THAT(
      message_of<DataError>([&] { folder.open(available + 1, 1); }),
      AllOf(HasSubstr(fmt::format("training.steps {} x training.global_batch 1 = {} samples are wanted, but the "
                                  "mixture ends after {} (in step {})",
                                  available + 1, available + 1, available, available + 1)),
            HasSubstr("(2 epochs of "), HasSubstr("raise max_epochs, or lower training.steps")));
  folder.settings().sources[0].max_epochs = 0;
  EXPECT_NO_THROW(folder.open(1'000'000, 8));
}

TEST(TrainingData, AWeightThatNoPlaceComesFromIsRefused) {
  MixtureFolder folder;
  folder.settings().sources[2].weight = 1e-6;
  EXPECT_THAT(message_of<DataError>([&] { folder.open(10, 8); }),
              AllOf(HasSubstr("source math has weight 1e-06 of 0.900001"), HasSubstr("none would be drawn")));
}

TEST(TrainingData, OneDataSetIsReadAsEver) {
  MixtureFolder folder;
  DataSettings one = folder.settings();
  one.prefix = folder.prefix("wiki").string();
  one.sources.clear();
  const TrainingData data(one, kMixtureContext, {100, 8});
  const IndexedDataset dataset(one.prefix);
  const TokenSamples samples(dataset, one, kMixtureContext, DataSplit::kTrain);
  EXPECT_EQ(data.plan(), nullptr);
  for (std::int64_t i = 0; i < 257; ++i) ASSERT_EQ(read_sample(data.train(), i), read_sample(samples, i));
}

TEST(TrainingData, ASampleTellsWhereItsDocumentsBegin) {
  const MixtureFolder folder;
  const TrainingData data = folder.open(1000, 8);
  int boundaries = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const ReadSample sample = read_sample(data.train(), i);
    std::int32_t begin = 0;
    for (std::int32_t t = 0; t < kMixtureContext; ++t) {
      const std::int32_t token = sample.inputs[std::size_t(t)];
      if (token % kDocumentStep == 0) begin = t;
      boundaries += t > 0 && begin == t;
      ASSERT_EQ(sample.document_begins[std::size_t(t)], begin) << i << ": " << t;
    }
  }
  EXPECT_GT(boundaries, 100);
}

}  // namespace
}  // namespace stoa::trainer
