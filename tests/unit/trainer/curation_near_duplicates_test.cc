#include "stoa/trainer/curation/near_duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/curation_near_duplicates_cases.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;
using testing::Optional;

std::vector<cpu::Isa> machine_isas() {
  std::vector<cpu::Isa> isas;
  for (const cpu::Isa isa : {cpu::Isa::kPlain, cpu::Isa::kAvx2, cpu::Isa::kAvx512})
    if (isa <= cpu::detected_isa()) isas.push_back(isa);
  return isas;
}

double estimate(const NearDuplicateSignature& a, const NearDuplicateSignature& b) {
  double equal = 0;
  for (std::size_t i = 0; i < a.minima.size(); ++i) equal += a.minima[i] == b.minima[i];
  return (equal / static_cast<double>(a.minima.size()) - 1 / 256.0) / (1 - 1 / 256.0);
}

TEST(NearDuplicateBands, AreTheMostRowsThatStillCompareAPairAtTheThreshold) {
  const NearDuplicateBands bands = near_duplicate_bands(128, 0.8);
  EXPECT_EQ(bands.bands, 16);
  EXPECT_EQ(bands.rows, 8);
  EXPECT_NEAR(candidate_probability(bands, 0.8), 0.9470, 5e-5);
  EXPECT_GE(candidate_probability(near_duplicate_bands(97, 0.55), 0.55), 0.9);
  EXPECT_EQ(near_duplicate_bands(33, 1).rows, 33);
}

// The figures of the headers' tables; made by an independent program.
TEST(NearDuplicateBands, ProbabilityOfBeingFoundIsAsTabled) {
  const NearDuplicateSettings settings;
  EXPECT_NEAR(near_duplicate_probability(settings, 0.7), 0.005382, 1e-6);
  EXPECT_NEAR(near_duplicate_probability(settings, 0.8), 0.504465, 1e-6);
  EXPECT_NEAR(near_duplicate_probability(settings, 0.9), 0.999552, 1e-6);
  EXPECT_NEAR(near_duplicate_probability(settings, 1), 1, 1e-9);
}

// With independent minima each z is standard: the sum of 600 squares has mean 600 and deviation sqrt(1200) = 35. Five
// deviations either way; the mean error of the estimates stays within five of its own.
TEST(NearDuplicateSignatures, EstimateTheSimilarityWithTheErrorOfIndependentMinima) {
  std::mt19937_64 random(11);
  double squares = 0, sum = 0, variance = 0;
  constexpr int kPairs = 600;
  for (int pair = 0; pair < kPairs; ++pair) {
    NearDuplicateSettings settings;
    settings.seed = random();
    const Words words = random_words(random, 150 + random() % 500);
    const std::string a = joined(words), b = joined(edited(random, words, 0.005 + 0.0001 * (pair % 500)));
    const double similarity = jaccard(shingles_of(a, 5), shingles_of(b, 5));
    if (similarity == 1) continue;
    const NearDuplicateSignatures signatures(settings);
    const double error = estimate(signatures.signature(a), signatures.signature(b)) - similarity;
    const double equal = similarity + (1 - similarity) / 256;
    const double expected = equal * (1 - equal) / settings.permutations / std::pow(1 - 1 / 256.0, 2);
    squares += error * error / expected;
    sum += error;
    variance += expected;
  }
  EXPECT_NEAR(squares, kPairs, 5 * std::sqrt(2.0 * kPairs) + 20);  // and the few pairs that were left alone
  EXPECT_NEAR(sum, 0, 5 * std::sqrt(variance));
}

// Every pair has a probability of its own by the formula, from its true similarity; their sum is met within five
// deviations, over all and among the pairs of each tenth.
TEST(NearDuplicateIndex, FindsPairsAsOftenAsTheFormulaSays) {
  std::mt19937_64 random(5);
  for (const auto& [permutations, threshold] : {std::pair{128, 0.8}, {100, 0.7}, {64, 0.5}}) {
    NearDuplicateSettings settings;
    settings.permutations = permutations;
    settings.threshold = threshold;
    settings.seed = random();
    const NearDuplicateSignatures signatures(settings);
    NearDuplicateIndex index(settings);
    std::vector<Words> originals;
    for (int i = 0; i < 3001; ++i) {
      originals.push_back(random_words(random, 257));
      ASSERT_EQ(index.add(signatures.signature(joined(originals.back()))), std::nullopt);
    }
    std::vector<double> expected(11), variance(11);
    std::vector<int> found(11);
    for (std::size_t i = 0; i < originals.size(); ++i) {
      const std::string copy = joined(edited(random, originals[i], 0.00003 * static_cast<double>(i)));
      const double similarity = jaccard(shingles_of(joined(originals[i]), 5), shingles_of(copy, 5));
      const double probability = near_duplicate_probability(settings, similarity);
      const std::optional<std::uint64_t> earlier = index.add(signatures.signature(copy));
      if (earlier) {
        EXPECT_EQ(*earlier, i);
      }
      const auto tenth = static_cast<std::size_t>(similarity * 10);
      expected[tenth] += probability;
      variance[tenth] += probability * (1 - probability);
      found[tenth] += earlier.has_value();
    }
    for (std::size_t tenth = 0; tenth < expected.size(); ++tenth)
      EXPECT_NEAR(found[tenth], expected[tenth], 5 * std::sqrt(variance[tenth]) + 1)
          << permutations << " permutations at " << threshold << ", similarity from " << tenth << "/10";
  }
}

TEST(NearDuplicateSignatures, AreTheSameOnEveryInstructionSetAndThread) {
  std::mt19937_64 random(3);
  for (const int permutations : {16, 33, 128, 257, 1024}) {
    NearDuplicateSettings settings;
    settings.permutations = permutations;
    for (const std::size_t words : {1u, 4u, 5u, 6u, 65u, 257u, 1025u}) {
      const std::string text = joined(random_words(random, words));
      const NearDuplicateSignature expected = NearDuplicateSignatures(settings, cpu::Isa::kPlain).signature(text);
      EXPECT_EQ(expected.minima.size(), static_cast<std::size_t>(permutations));
      for (const cpu::Isa isa : machine_isas())
        EXPECT_EQ(NearDuplicateSignatures(settings, isa).signature(text), expected) << cpu::isa_name(isa);
      const NearDuplicateSignatures shared(settings);
      std::vector<NearDuplicateSignature> of_thread(4);
      std::vector<std::thread> threads;
      for (NearDuplicateSignature& mine : of_thread) threads.emplace_back([&] { mine = shared.signature(text); });
      for (std::thread& thread : threads) thread.join();
      for (const NearDuplicateSignature& mine : of_thread) EXPECT_EQ(mine, expected);
    }
  }
}

// Computed by an independent program, and written down so that a release that would give other signatures has to say so
// (and raise the step's version).
TEST(NearDuplicateSignatures, KeepTheirValuesOverReleases) {
  NearDuplicateSettings settings;
  settings.permutations = 16;
  const NearDuplicateSignature signature =
      NearDuplicateSignatures(settings).signature("The stoa was a public colonnade where anyone could come to learn.");
  EXPECT_EQ(signature.minima,
            (std::vector<std::uint8_t>{219, 1, 76, 202, 52, 202, 89, 168, 224, 218, 39, 170, 136, 215, 59, 111}));
  EXPECT_EQ(signature.bands,
            (std::vector<std::uint64_t>{10449706072993308848u, 16266605252004821904u, 6617052217752062172u,
                                        327611016808538834u, 12359068855222739175u}));
}

TEST(NearDuplicateIndex, KeepsTheFirstAndNamesItWhateverIsDroppedBetween) {
  std::mt19937_64 random(7);
  const NearDuplicateSettings settings;
  const NearDuplicateSignatures signatures(settings);
  NearDuplicateIndex index(settings);
  const std::string first = joined(random_words(random, 400)), second = joined(random_words(random, 400));
  EXPECT_EQ(index.add(signatures.signature(first)), std::nullopt);
  EXPECT_EQ(index.add(signatures.signature(second)), std::nullopt);
  const std::uint64_t memory = index.memory_bytes();
  for (int copy = 0; copy < 300; ++copy) {
    EXPECT_THAT(index.add(signatures.signature("<p>" + second + "!")), Optional(1u));
    EXPECT_THAT(index.add(signatures.signature(first)), Optional(0u));
  }
  EXPECT_EQ(index.memory_bytes(), memory);
  EXPECT_EQ(index.documents(), 602u);
  EXPECT_EQ(index.kept(), 2u);
}

TEST(NearDuplicateIndex, DocumentsShorterThanAShingleAreComparedWhole) {
  const NearDuplicateSettings settings;
  const NearDuplicateSignatures signatures(settings);
  NearDuplicateIndex index(settings);
  EXPECT_EQ(index.add(signatures.signature("See also")), std::nullopt);
  EXPECT_EQ(index.add(signatures.signature("See also here")), std::nullopt);
  EXPECT_EQ(index.add(signatures.signature("also see")), std::nullopt);
  EXPECT_THAT(index.add(signatures.signature("SEE, also:\n")), Optional(0u));
  EXPECT_EQ(index.add(signatures.signature("")), std::nullopt);
  EXPECT_EQ(index.add(signatures.signature("")), std::nullopt) << "nothing resembles a document without words";
  EXPECT_EQ(index.add(signatures.signature(" -- ... \xE2\x80\xA6\n")), std::nullopt);
  EXPECT_EQ(index.kept(), 6u);
}

NearDuplicateSignature random_signature(std::mt19937_64& random) {
  NearDuplicateSignature signature;
  for (int i = 0; i < 128; ++i) signature.minima.push_back(static_cast<std::uint8_t>(random()));
  for (int i = 0; i < 16; ++i) signature.bands.push_back(random());
  return signature;
}

TEST(NearDuplicateIndex, ADocumentCostsTheMemoryThatIsStated) {
  std::mt19937_64 random(13);
  NearDuplicateIndex index({});
  constexpr std::uint64_t kEmptyTables = 16 * 256 * 8 * 8 + (1 << 19);  // and one block of documents
  for (std::uint64_t documents = 1; documents <= 60001; ++documents) {
    ASSERT_EQ(index.add(random_signature(random)), std::nullopt);
    if (documents % 5000 == 0) {
      EXPECT_LE(index.memory_bytes(), kEmptyTables + documents * 480) << documents;
    }
  }
  EXPECT_GE(index.memory_bytes(), 60001u * 310u);
}

// A template: all documents share a band's key and nothing else.
TEST(NearDuplicateIndex, AKeyThatManyShareStopsGrowingAndIsFoundByTheOtherBands) {
  std::mt19937_64 random(17);
  NearDuplicateIndex index({});
  std::vector<NearDuplicateSignature> signatures;
  for (int i = 0; i < 5001; ++i) {
    signatures.push_back(random_signature(random));
    signatures.back().bands[3] = 42;
    ASSERT_EQ(index.add(signatures.back()), std::nullopt);
  }
  EXPECT_THAT(index.add(signatures.back()), Optional(5000u));
  EXPECT_THAT(index.add(signatures.front()), Optional(0u));
}

TEST(NearDuplicateSettings, OutOfRangeAreNamed) {
  const auto message = [](NearDuplicateSettings settings) -> std::string {
    try {
      NearDuplicateIndex index(settings);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({.shingle_words = 0}), HasSubstr("shingle_words 0 is not in 1 .. 64"));
  EXPECT_THAT(message({.permutations = 1025}), HasSubstr("permutations 1025 is not in 16 .. 1024"));
  EXPECT_THAT(message({.threshold = std::nan("")}), HasSubstr("threshold nan is not in 0.3 .. 1"));
  EXPECT_EQ(message({}), "");
}

}  // namespace
}  // namespace stoa::trainer
