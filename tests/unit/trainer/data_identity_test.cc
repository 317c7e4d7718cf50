#include "stoa/trainer/data/data_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/mixture_cases.h"
#include "stoa/trainer/data/dataset_fingerprint.h"

namespace stoa::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Json identity_of(const DataSettings& settings) {
  const TrainingData data(settings, kMixtureContext, {100, 8});
  return data_identity(data, settings, "tokens");
}

/// What a checkpoint with `before` says to a run with `now`.
std::string refusal(const Json& before, const Json& now) {
  try {
    require_same_data(parse_json(before.dump(), "manifest"), now, "step-5.data");
  } catch (const CheckpointError& difference) {
    return difference.what();
  }
  return "resumed";
}

void change_a_byte(const std::filesystem::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(10);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(10);
  file.put(byte);
}

TEST(DataIdentity, SurvivesTheManifestAndNeverTellsOfPaths) {
  MixtureFolder folder;
  folder.settings().stages = {{.from_step = 7, .weights = {{"math", 0.123456789012345678}}}};
  const Json identity = identity_of(folder.settings());
  EXPECT_EQ(refusal(identity, identity), "resumed");
  EXPECT_EQ(identity.dump().find(folder.prefix("wiki").string()), std::string::npos);
  EXPECT_EQ(identity["order"], Json({"wiki", "code", "math"}));
}

TEST(DataIdentity, AChangedByteNamesTheSourceAndItsFingerprint) {
  MixtureFolder folder;
  const Json before = identity_of(folder.settings());
  change_a_byte(folder.prefix("code").string() + ".bin");
  write_checksums(folder.prefix("code"));
  const Json now = identity_of(folder.settings());
  const std::string fingerprint = now["sources"]["code"]["fingerprint"];
  EXPECT_THAT(refusal(before, now), AllOf(HasSubstr("step-5.data.sources.code.fingerprint was \""),
                                          HasSubstr("when this checkpoint was made, and is \"" + fingerprint +
                                                    "\" now: the data set has changed")));
}

TEST(DataIdentity, EveryChangeOfTheMixtureIsNamed) {
  MixtureFolder folder;
  folder.settings().stages = {{.from_step = 7, .weights = {{"math", 0.5}}}};
  const DataSettings old = folder.settings();
  const Json before = identity_of(old);
  const auto refused = [&](const std::function<void(DataSettings&)>& change) {
    DataSettings settings = old;
    change(settings);
    return refusal(before, identity_of(settings));
  };
  EXPECT_THAT(refused([](auto& s) { s.sources[0].weight = 0.5; }),
              HasSubstr("data.sources.wiki.weight was 0.6 when this checkpoint was made, and is 0.5 now"));
  EXPECT_THAT(refused([](auto& s) { s.sources[1].max_epochs = 90; }),
              HasSubstr("data.sources.code.max_epochs was 0.0 when this checkpoint was made, and is 90.0 now"));
  EXPECT_THAT(refused([](auto& s) { s.stages[0].weights[0].weight = 0.25; }),
              HasSubstr("data.stages was [{\"from_step\":7,\"weights\":{\"math\":0.5}}]"));
  EXPECT_THAT(refused([](auto& s) { s.stages.clear(); }), HasSubstr("and is [] now"));
  EXPECT_THAT(refused([](auto& s) { s.seed = 8; }), HasSubstr("data.seed was 7"));
  EXPECT_THAT(refused([](auto& s) { s.mask_documents = true; }), HasSubstr("data.mask_documents was false"));
  EXPECT_THAT(refused([](auto& s) { s.reset_positions = true; }), HasSubstr("data.reset_positions was false"));
  EXPECT_THAT(refused([](auto& s) { s.held_out_fraction = 0.1; }), HasSubstr("data.held_out_fraction was 0.2"));
  EXPECT_THAT(refused([](auto& s) { s.sources.erase(s.sources.begin() + 1); }), HasSubstr("data.sources.code was {"));
  EXPECT_THAT(refused([](auto& s) { std::swap(s.sources[0], s.sources[1]); }),
              HasSubstr("data.order was [\"wiki\",\"code\",\"math\"]"));
  EXPECT_THAT(refused([](auto& s) { s.sources[0].name = "web"; }), HasSubstr("data.sources.web was absent"));
  EXPECT_EQ(refused([](auto& s) { s.sources[0].text = {"elsewhere.txt"}; }), "resumed");
}

TEST(DataIdentity, ACheckpointOfAnOlderStoaResumes) {
  MixtureFolder folder;
  DataSettings settings = folder.settings();
  settings.prefix = folder.prefix("wiki").string();
  settings.sources.clear();
  const IndexedDataset dataset(settings.prefix);
  const Json old = {{"documents", 65},
                    {"tokens", dataset.tokens()},
                    {"tokenizer", "tokens"},
                    {"held_out_fraction", 0.2},
                    {"seed", 7}};
  EXPECT_EQ(refusal(old, identity_of(settings)), "resumed");
  settings.mask_documents = true;
  EXPECT_THAT(refusal(old, identity_of(settings)), HasSubstr("data.mask_documents was absent"));
  settings.mask_documents = false;
  Json other = old;
  other["tokens"] = 12;
  EXPECT_THAT(refusal(other, identity_of(settings)), HasSubstr("data.tokens was 12"));
  EXPECT_THAT(refusal(Json(), identity_of(settings)), HasSubstr("data.documents was absent"));
  EXPECT_NE(refusal(old, identity_of(folder.settings())), "resumed");
}

TEST(DatasetFingerprint, IsTheBytesWithOrWithoutASidecar) {
  const MixtureFolder folder;
  const auto prefix = folder.prefix("wiki");
  const std::string recorded = dataset_fingerprint(prefix);
  std::filesystem::remove(prefix.string() + ".checksums.json");
  EXPECT_EQ(dataset_fingerprint(prefix), recorded);
  change_a_byte(prefix.string() + ".bin");
  EXPECT_NE(dataset_fingerprint(prefix), recorded);
  EXPECT_NE(dataset_fingerprint(folder.prefix("code")), recorded);
}

TEST(DatasetFingerprint, RefusesASidecarOfAnotherSize) {
  const MixtureFolder folder;
  const auto prefix = folder.prefix("wiki");
  std::ofstream(prefix.string() + ".bin", std::ios::app) << "x";
  EXPECT_THROW(dataset_fingerprint(prefix), DataError);
}

TEST(DatasetFingerprint, SamplesALargeFileFromEndToEnd) {
  const ScratchFolder folder;
  const auto prefix = folder / "large";
  std::ofstream(prefix.string() + ".idx") << "index";
  std::ofstream(prefix.string() + ".bin") << "x";
  std::filesystem::resize_file(prefix.string() + ".bin", (std::uintmax_t{1} << 27) + 33);  // a hole
  const std::string before = dataset_fingerprint(prefix);
  EXPECT_THAT(before, testing::StartsWith("sampled-"));
  std::fstream file(prefix.string() + ".bin", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('y');
  file.close();
  EXPECT_NE(dataset_fingerprint(prefix), before);
}

}  // namespace
}  // namespace stoa::trainer
