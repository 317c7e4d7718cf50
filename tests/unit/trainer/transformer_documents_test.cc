// A sample of packed documents, masked and with positions reset, against each document alone in a sample.
#include <gtest/gtest.h>

#include <cmath>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/document_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

struct Case {
  const char* name;
  ModelSettings model;
  Precision precision;
  double rounding;  ///< relative, of a loss or a gradient
};
std::ostream& operator<<(std::ostream& out, const Case& chosen) { return out << chosen.name; }

// A product may sum a row in another order when the row stands elsewhere in the matrix. In fp32 that is some 1e-7 times
// the root of some hundred terms; in bf16 it can round one of some thirty operands the other way, by 2^-8 of it.
constexpr double kFp32 = 5e-6, kBf16 = 1e-3;

constexpr std::int64_t kContext = 33;
const std::vector<Lengths> kDocuments{{1, 13, 19}, {30, 2, 1}};
constexpr LossScale kScale{0.5F, 1e-3F};

/// Inputs, targets, begins and positions of some samples.
struct Samples {
  std::vector<std::int32_t> tokens, targets, begins, positions;
  MicroBatch view() const {
    return {.tokens_bt = tokens,
            .targets_bt = targets,
            .document_begin_bt = begins,
            .positions_bt = positions,
            .samples = std::ssize(tokens) / kContext};
  }
};

class PackedModel : public testing::TestWithParam<Case> {
 protected:
  PackedModel() : table_(make_parameter_table(GetParam().model)), parameters_(table_, GetParam().precision) {
    initialize_parameters(queue_, table_, 11, parameters_.masters());
    parameters_.refresh_copies(queue_);
    const PackedDocuments documents = packed(kDocuments);
    packed_.begins = documents.begin_bt;
    packed_.positions = documents.positions_bt;
    for (std::int64_t i = 0; i < std::ssize(documents.begin_bt); ++i) {
      packed_.tokens.push_back(static_cast<std::int32_t>((7 * i * i + 3 * i) % table_.model.vocabulary_size));
      packed_.targets.push_back(static_cast<std::int32_t>((5 * i * i + i + 1) % table_.model.vocabulary_size));
    }
    model_ = make_model(queue_, table_, parameters_, GetParam().precision, {.samples = 2, .seed = 17});
  }

  /// The document that begins at token `first` of all samples, at the start of a sample and followed by tokens that
  /// count for nothing.
  Samples alone(std::size_t first, std::size_t length) const {
    Samples sample;
    sample.tokens.assign(kContext, 5);
    sample.targets.assign(kContext, -1);
    for (std::size_t i = 0; i < length; ++i) {
      sample.tokens[i] = packed_.tokens[first + i];
      sample.targets[i] = packed_.targets[first + i];
    }
    return sample;
  }

  /// body(first token, tokens) for each document.
  template <typename Body>
  static void for_each_document(const Body& body) {
    std::size_t first = 0;
    for (const Lengths& lengths : kDocuments)
      for (const std::int32_t length : lengths) {
        body(first, static_cast<std::size_t>(length));
        first += static_cast<std::size_t>(length);
      }
  }

  /// The loss of one token.
  double loss_of(Samples samples, std::size_t token) {
    for (std::size_t n = 0; n < samples.targets.size(); ++n)
      if (n != token) samples.targets[n] = -1;
    return model_->evaluate(samples.view()).loss;
  }

  std::vector<float> zeros() const { return std::vector<float>(std::size_t(table_.gradient_elements), 0.0F); }

  ParameterTable table_;
  cpu::Queue queue_{{.threads = 1}};
  ModelParameters parameters_;
  Samples packed_;
  std::unique_ptr<Model> model_;
};

TEST_P(PackedModel, GivesEachTokenTheLossThatItsDocumentHasAlone) {
  for_each_document([&](std::size_t first, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) {
      const double expected = loss_of(alone(first, length), i);
      EXPECT_NEAR(loss_of(packed_, first + i), expected, GetParam().rounding * expected) << first << " + " << i;
    }
  });
}

TEST_P(PackedModel, GivesTheSumOfTheDocumentsGradients) {
  auto together = zeros(), apart = zeros();
  const LossSums sums = model_->train(packed_.view(), kScale, together);
  LossSums expected;
  for_each_document([&](std::size_t first, std::size_t length) {
    const LossSums document = model_->train(alone(first, length).view(), kScale, apart);
    expected.loss += document.loss;
    expected.z += document.z;
  });
  EXPECT_NEAR(sums.loss, expected.loss, GetParam().rounding * expected.loss);
  EXPECT_NEAR(sums.z, expected.z, GetParam().rounding * expected.z);
  double largest = 0, furthest = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    largest = std::max(largest, std::abs(double(together[i])));
    furthest = std::max(furthest, std::abs(double(together[i]) - double(apart[i])));
  }
  EXPECT_LE(furthest, GetParam().rounding * largest);
}

// Either half left out is another model: the borders are not there by chance.
TEST_P(PackedModel, NeedsBothTheBordersAndThePositions) {
  const double right = model_->evaluate(packed_.view()).loss;
  Samples open = packed_, counted = packed_;
  open.begins.clear();
  counted.positions.clear();
  EXPECT_GT(std::abs(model_->evaluate(open.view()).loss - right), 1e-3 * right);
  // RoPE sees differences of positions only, and within a document counting on does not change them.
  const double difference = std::abs(model_->evaluate(counted.view()).loss - right);
  if (GetParam().model.family == ModelFamily::kGpt2)
    EXPECT_GT(difference, 1e-3 * right);
  else
    EXPECT_LT(difference, GetParam().rounding * right);
}

TEST_P(PackedModel, OneDocumentASampleHasTheBitsOfNone) {
  const PackedDocuments one = packed({{kContext}, {kContext}});
  Samples spelled_out = packed_, plain = packed_;
  spelled_out.begins = one.begin_bt;
  spelled_out.positions = one.positions_bt;
  plain.begins.clear();
  plain.positions.clear();
  auto expected = zeros(), gradients = zeros();
  EXPECT_EQ(model_->train(spelled_out.view(), kScale, gradients).loss,
            model_->train(plain.view(), kScale, expected).loss);
  EXPECT_EQ(gradients, expected);
}

TEST_P(PackedModel, RefusesBordersAndPositionsThatCannotBe) {
  const auto refused = [&](const auto& change) {
    Samples samples = packed_;
    change(samples);
    EXPECT_THROW(model_->evaluate(samples.view()), InternalError);
  };
  refused([](Samples& s) { s.begins.pop_back(); });
  refused([](Samples& s) { s.positions.push_back(0); });
  refused([](Samples& s) { s.begins[0] = -1; });
  refused([](Samples& s) { s.begins[5] = 6; });                // after the token itself
  refused([](Samples& s) { s.begins[5] = 0; });                // back into the document before
  refused([](Samples& s) { s.begins[kContext] = kContext; });  // counted in the batch, not in the sample
  refused([](Samples& s) { s.positions[7] = -1; });
  refused([](Samples& s) { s.positions[7] = kContext; });
}

INSTANTIATE_TEST_SUITE_P(Families, PackedModel,
                         testing::Values(Case{"llama_fp32", small_llama(), Precision::kFp32, kFp32},
                                         Case{"gpt2_fp32", small_gpt2(), Precision::kFp32, kFp32},
                                         Case{"llama_bf16", small_llama(), Precision::kBf16, kBf16},
                                         Case{"gpt2_bf16", small_gpt2(), Precision::kBf16, kBf16}),
                         [](const testing::TestParamInfo<Case>& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace stoa::trainer
