#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/document_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kSamples = 2;
constexpr std::uint64_t kStep = 3;
const std::vector<Lengths> kDocuments{{1, 13, 19}, {30, 3}};

struct Case {
  const char* name;
  ModelSettings model;
  std::vector<Lengths> documents{};  ///< of both samples; empty: one a sample, and positions are counted
};
std::ostream& operator<<(std::ostream& out, const Case& chosen) { return out << chosen.name; }

ModelSettings with_dropout(ModelSettings model, double rate) {
  model.dropout = rate;
  return model;
}

class Passes : public testing::TestWithParam<Case> {
 protected:
  Passes()
      : table_(make_parameter_table(GetParam().model)),
        parameters_(table_, Precision::kFp32),
        documents_(packed(GetParam().documents)) {
    initialize_parameters(queue_, table_, 11, parameters_.masters());
    for (std::int64_t i = 0; i < kSamples * table_.model.context_length; ++i) {
      tokens_.push_back(static_cast<std::int32_t>((7 * i * i + 3 * i) % table_.model.vocabulary_size));
      targets_.push_back(static_cast<std::int32_t>((5 * i * i + i + 1) % table_.model.vocabulary_size));
    }
  }

  std::unique_ptr<Model> model_of(cpu::Queue& queue, const ParameterTable& table) {
    return make_model(queue, table, parameters_, Precision::kFp32, {.samples = kSamples, .seed = 17});
  }
  std::unique_ptr<Model> model() { return model_of(queue_, table_); }

  MicroBatch batch(std::int64_t first, std::int64_t samples, std::uint64_t step = kStep) const {
    const auto at = std::size_t(first * table_.model.context_length),
               size = std::size_t(samples * table_.model.context_length);
    const auto part = [&](const std::vector<std::int32_t>& of) {
      return of.empty() ? std::span<const std::int32_t>() : std::span(of).subspan(at, size);
    };
    return {.tokens_bt = part(tokens_),
            .targets_bt = part(targets_),
            .document_begin_bt = part(documents_.begin_bt),
            .positions_bt = part(documents_.positions_bt),
            .samples = samples,
            .first_sample = first,
            .step = step};
  }
  std::vector<float> zeros() const { return std::vector<float>(std::size_t(table_.gradient_elements), 0.0F); }

  /// Gradient of element i of the masters, both parts of a tied embedding.
  double gradient(const std::vector<float>& gradients, const Parameter& parameter, std::int64_t i) const {
    double value = double(gradients[std::size_t(parameter.offset + i)]);
    if (table_.tied() && parameter.offset == table_.embedding)
      value += double(gradients[std::size_t(table_.head_gradient + i)]);
    return value;
  }

  ParameterTable table_;
  cpu::Queue queue_{{.threads = 1}};
  ModelParameters parameters_;
  std::vector<std::int32_t> tokens_, targets_;
  PackedDocuments documents_;
};

TEST_P(Passes, EvaluationTwiceGivesTheSameBitsOnAnyNumberOfThreads) {
  cpu::Queue two({.threads = 2});
  const double first = model()->evaluate(batch(0, kSamples)).loss;
  const auto again = model();
  EXPECT_EQ(again->evaluate(batch(0, kSamples)).loss, first);
  EXPECT_EQ(again->evaluate(batch(0, kSamples)).loss, first);
  EXPECT_EQ(model_of(two, table_)->evaluate(batch(0, kSamples)).loss, first);
}

TEST_P(Passes, EvaluationKnowsNoDropout) {
  const ParameterTable undropped = make_parameter_table(with_dropout(table_.model, 0));
  EXPECT_EQ(model()->evaluate(batch(0, kSamples)).loss, model_of(queue_, undropped)->evaluate(batch(0, kSamples)).loss);
}

TEST_P(Passes, DropoutIsAnotherEachStepAndTheSameForTheSameStep) {
  const auto transformer = model();
  auto gradients = zeros();
  const double third = transformer->train(batch(0, kSamples, 3), {}, gradients).loss;
  const double fourth = transformer->train(batch(0, kSamples, 4), {}, gradients).loss;
  EXPECT_NE(third, fourth);
  EXPECT_NE(third, transformer->evaluate(batch(0, kSamples)).loss);
  EXPECT_EQ(third, transformer->train(batch(0, kSamples, 3), {}, gradients).loss);
}

TEST_P(Passes, GradientsAreTheSlopesOfTheLossUnderDropout) {
  const auto transformer = model();
  auto gradients = zeros(), unused = zeros();
  transformer->train(batch(0, kSamples), {}, gradients);
  for (const Parameter& parameter : table_.parameters) {
    double squares = 0;
    for (std::int64_t i = 0; i < parameter.elements; ++i) squares += std::pow(gradient(gradients, parameter, i), 2);
    const double norm = std::sqrt(squares);
    if (norm < 0.3) continue;  // a key bias cancels in the softmax: noise has no slope
    // A step of `reach` along the tensor's own gradient changes the loss by reach * norm.
    const auto values = parameters_.masters().subspan(std::size_t(parameter.offset), std::size_t(parameter.elements));
    const std::vector<float> before(values.begin(), values.end());
    const double reach = std::min(0.01, 0.1 / norm);
    const auto loss_at = [&](double distance) {
      for (std::int64_t i = 0; i < parameter.elements; ++i)
        values[std::size_t(i)] =
            static_cast<float>(double(before[std::size_t(i)]) + distance * gradient(gradients, parameter, i) / norm);
      return transformer->train(batch(0, kSamples), {}, unused).loss;
    };
    const double slope = (loss_at(reach) - loss_at(-reach)) / (2 * reach);
    std::copy(before.begin(), before.end(), values.begin());
    // Losses of 66 tokens in fp32 are known to about 1e-4, the difference measured is about 2 * reach * norm >= 6e-3.
    EXPECT_NEAR(slope, norm, 0.02 * norm) << parameter.name;
  }
}

TEST_P(Passes, AMicroBatchGivesTheSumOfItsSamplesGradients) {
  const auto transformer = model();
  auto together = zeros(), apart = zeros();
  const LossSums both = transformer->train(batch(0, 2), {0.5F, 1e-3F}, together);
  const LossSums first = transformer->train(batch(0, 1), {0.5F, 1e-3F}, apart);
  const LossSums second = transformer->train(batch(1, 1), {0.5F, 1e-3F}, apart);
  EXPECT_NEAR(both.loss, first.loss + second.loss, 1e-6 * both.loss);
  EXPECT_NEAR(both.z, first.z + second.z, 1e-6 * both.z);
  float largest = 0, furthest = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    largest = std::max(largest, std::abs(together[i]));
    furthest = std::max(furthest, std::abs(together[i] - apart[i]));
  }
  EXPECT_LE(furthest, 2e-6F * largest);  // the order of a sum of 66 terms in fp32
}

TEST_P(Passes, TokensWithoutATargetCountForNothing) {
  const auto transformer = model();
  const double whole = transformer->evaluate(batch(0, kSamples)).loss;
  const auto half = std::size_t(table_.model.context_length) / 2;
  std::vector<std::int32_t> early = targets_, late = targets_;
  std::fill(early.begin() + std::ptrdiff_t(half), early.end(), -1);
  std::fill(late.begin(), late.begin() + std::ptrdiff_t(half), -1);
  MicroBatch first = batch(0, kSamples), second = first;
  first.targets_bt = early;
  second.targets_bt = late;
  const double sum = transformer->evaluate(first).loss + transformer->evaluate(second).loss;
  EXPECT_NEAR(sum, whole, 1e-12 * whole);
}

TEST_P(Passes, ATokenOutsideTheVocabularyIsRefused) {
  const auto transformer = model();
  const auto vocabulary = std::int32_t(table_.model.vocabulary_size);
  std::vector<std::int32_t> wrong = targets_;
  for (const std::int32_t id : {vocabulary, -2}) {
    wrong.back() = id;
    MicroBatch micro_batch = batch(0, kSamples);
    micro_batch.targets_bt = wrong;
    EXPECT_THROW(transformer->evaluate(micro_batch), DataError);
    micro_batch = batch(0, kSamples);
    micro_batch.tokens_bt = wrong;
    EXPECT_THROW(transformer->evaluate(micro_batch), DataError);
  }
}

TEST_P(Passes, AModelForEvaluationCannotTrain) {
  const auto transformer =
      make_model(queue_, table_, parameters_, Precision::kFp32, {.samples = kSamples, .use = ModelUse::kEvaluation});
  auto gradients = zeros();
  EXPECT_THROW(transformer->train(batch(0, kSamples), {}, gradients), InternalError);
  EXPECT_THROW(transformer->evaluate(batch(0, 0)), InternalError);
  EXPECT_EQ(transformer->evaluate(batch(0, kSamples)).loss, model()->evaluate(batch(0, kSamples)).loss);
}

INSTANTIATE_TEST_SUITE_P(Families, Passes,
                         testing::Values(Case{"llama", with_dropout(small_llama(), 0.2)},
                                         Case{"gpt2", with_dropout(small_gpt2(), 0.2)},
                                         Case{"llama_documents", with_dropout(small_llama(), 0.2), kDocuments},
                                         Case{"gpt2_documents", with_dropout(small_gpt2(), 0.2), kDocuments}),
                         [](const testing::TestParamInfo<Case>& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace stoa::trainer
