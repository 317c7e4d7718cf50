#include "stoa/trainer/loop/text_evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

/// Loss of each counted token: the token before it plus a thousandth of itself; remembers which were predicted.
class RecordingModel final : public Model {
 public:
  void forward(const ChunkPass&, std::span<const float>, std::span<float>) override {}
  LossSums backward(const ChunkPass&, const LossScale&, std::span<const float>, std::span<float>,
                    GradientSink&) override {
    return {};
  }
  LossSums backward_input(const ChunkPass&, const LossScale&, std::span<const float>, std::span<float>,
                          GradientSink&) override {
    return {};
  }
  void backward_weight(const ChunkPass&, GradientSink&) override {}
  parallel::Slice row_slice(const MicroBatch& batch) const override { return {0, std::ssize(batch.tokens_bt)}; }
  LossSums evaluate(const ChunkPass& pass, std::span<const float>, std::span<float>) override {
    const MicroBatch& batch = pass.batch;
    most_samples = std::max(most_samples, batch.samples);
    document_begins.insert(document_begins.end(), batch.document_begin_bt.begin(), batch.document_begin_bt.end());
    positions.insert(positions.end(), batch.positions_bt.begin(), batch.positions_bt.end());
    LossSums sums;
    for (std::size_t i = 0; i < batch.targets_bt.size(); ++i) {
      if (batch.targets_bt[i] < 0) continue;
      predicted.push_back(batch.targets_bt[i]);
      sums.loss += batch.tokens_bt[i] + 0.001 * batch.targets_bt[i];
    }
    return sums;
  }

  std::vector<std::int32_t> predicted, document_begins, positions;
  std::int64_t most_samples = 0;
};

std::vector<std::int32_t> count_to(std::int32_t tokens) {
  std::vector<std::int32_t> text(std::size_t(tokens), 0);
  std::iota(text.begin(), text.end(), 0);
  return text;
}

TEST(TextEvaluation, PredictsEachTokenButTheFirstOnceFromTheOneBefore) {
  for (const std::int32_t size : {2, 7, 8, 9, 33, 57, 64, 65}) {
    const std::vector<std::int32_t> text = count_to(size), bytes(text.size(), 3);
    RecordingModel model;
    const EvaluationResult result = evaluate_text(model, text, bytes, {.micro_batch = 3, .context_length = 7});
    EXPECT_EQ(model.predicted, std::vector<std::int32_t>(text.begin() + 1, text.end())) << size;
    EXPECT_LE(model.most_samples, 3);
    EXPECT_EQ(result.tokens, size - 1);
    EXPECT_EQ(result.bytes, 3 * (size - 1));
    const double pairs = 0.5 * (size - 1) * (size - 2) + 0.001 * 0.5 * size * (size - 1);
    EXPECT_NEAR(result.loss, pairs / (size - 1), 1e-9 * result.loss) << size;
  }
}

TEST(TextEvaluation, BitsPerByteCountsTheBytesOfWhatIsPredicted) {
  const std::vector<std::int32_t> text = {0, 1, 2}, bytes = {100, 4, 1};
  RecordingModel model;
  const EvaluationResult result = evaluate_text(model, text, bytes, {.micro_batch = 1, .context_length = 33});
  EXPECT_EQ(result.bytes, 5);
  EXPECT_NEAR(result.bits_per_byte(), result.loss * 2 / std::numbers::ln2 / 5, 1e-12);
}

TEST(TextEvaluation, TellsHowFarItIs) {
  const std::vector<std::int32_t> text = count_to(22), bytes(text.size(), 1);
  RecordingModel model;
  std::vector<double> fractions;
  evaluate_text(model, text, bytes, {2, 7, [&](double fraction) { fractions.push_back(fraction); }});
  EXPECT_EQ(fractions, (std::vector<double>{2.0 / 3, 1.0}));
}

TEST(TextEvaluation, DocumentsBeginWhereTheyDoInTraining) {
  const std::vector<std::int32_t> text = {3, 9, 4, 5, 9, 9, 6, 7, 8, 9, 2}, bytes(10, 1);
  const auto begins_and_positions = [&](DocumentRules rules) {
    RecordingModel model;
    evaluate_text(model, text, bytes, {.micro_batch = 2, .context_length = 5, .rules = rules, .end_of_text = 9});
    return std::pair(model.document_begins, model.positions);
  };
  // Windows 3 9 4 5 9, 9 6 7 8 9; a document that goes on from the window before begins at 0.
  const std::vector<std::int32_t> begins = {0, 0, 2, 2, 2, 0, 1, 1, 1, 1}, positions = {0, 1, 0, 1, 2, 0, 0, 1, 2, 3};
  const std::vector<std::int32_t> none;
  EXPECT_EQ(begins_and_positions({}), std::pair(none, none));
  EXPECT_EQ(begins_and_positions({.mask = true}), std::pair(begins, none));
  EXPECT_EQ(begins_and_positions({.reset_positions = true}), std::pair(none, positions));
  EXPECT_EQ(begins_and_positions({.mask = true, .reset_positions = true}), std::pair(begins, positions));
}

TEST(TextEvaluation, ATextWithNothingToPredictIsAnError) {
  RecordingModel model;
  EXPECT_THROW(evaluate_text(model, count_to(1), count_to(1), {1, 7, {}}), DataError);
  EXPECT_THROW(evaluate_text(model, {}, {}, {1, 7, {}}), DataError);
}

TEST(TextEvaluation, DocumentsAreFollowedByEndOfTextWhichStandsForNoByte) {
  const std::string_view learned = "the cat and the dog and the bird sat on the mat and the hat";
  const Tokenizer tokenizer = train_tokenizer(std::span(&learned, 1), 263);
  const std::vector<std::string_view> documents = {"the cat", "and \xc3\xa9!"};
  const std::vector<std::int32_t> tokens = encode_documents(tokenizer, documents);
  EXPECT_EQ(tokenizer.decode(tokens), "the cat<|endoftext|>and \xc3\xa9!<|endoftext|>");
  const std::vector<std::int32_t> bytes = text_bytes_of_tokens(tokenizer);
  std::int64_t sum = 0;
  for (const std::int32_t token : tokens) sum += bytes[std::size_t(token)];
  EXPECT_EQ(sum, 7 + 7);
}

}  // namespace
}  // namespace stoa::trainer
