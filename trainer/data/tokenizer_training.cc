#include "stoa/trainer/data/tokenizer_training.h"

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/tokenizer_state.h"
#include "stoa/trainer/data/tokenizer_training_cells.h"
#include "stoa/trainer/data/tokenizer_training_count.h"
#include "stoa/trainer/data/tokenizer_training_merges.h"

namespace stoa::trainer {
namespace {

/// How much of the progress is counting words.
constexpr double kCountingShare = 0.5;

/// What is told while it happens: the part done of the two long steps, and that the first has ended.
struct Progress {
  std::function<void(double)> counting;
  std::function<void(const TokenizerTrainingReport&)> counted;
  std::function<void(double)> merging;
};

void validate(const TokenizerTraining& training) {
  if (training.vocabulary_size < 257)
    throw DataError("a vocabulary of {} is too small: 256 bytes and {} are 257", training.vocabulary_size, kEndOfText);
  if (training.vocabulary_size > std::int64_t{1} << 30)
    throw DataError("a vocabulary of {} is too large: ids go up to 2^30", format_grouped(training.vocabulary_size));
  if (training.memory_bytes < TokenizerTraining::kLeastMemory)
    throw DataError("{} of memory is too little to train a tokenizer in; {} is the least",
                    format_bytes(static_cast<double>(training.memory_bytes)),
                    format_bytes(static_cast<double>(TokenizerTraining::kLeastMemory)));
}

std::array<std::int32_t, 256> ids_of_bytes(const Vocabulary& vocabulary) {
  std::array<std::int32_t, 256> ids{};
  for (std::size_t id = 0; id < ids.size(); ++id)
    ids[static_cast<std::uint8_t>(vocabulary.tokens[id].front())] = static_cast<std::int32_t>(id);
  return ids;
}

WordCells gather_words(const TokenizerTraining& training, TrainingTexts& texts, const Progress& progress,
                       const Vocabulary& vocabulary, TokenizerTrainingReport& report) {
  const std::vector<SpillingWords> words = count_words(training, texts, progress.counting, report);
  const auto all_words = [&] {
    std::vector<std::unique_ptr<WordStream>> streams;
    for (const SpillingWords& of_thread : words) of_thread.append_streams(streams);
    return sum_of(std::move(streams));
  };
  return keep_words(all_words, training.memory_bytes, ids_of_bytes(vocabulary), report);
}

/// Without end-of-text, which is the last token.
Vocabulary learn(const TokenizerTraining& training, TrainingTexts& texts, const Progress& progress,
                 TokenizerTrainingReport& report) {
  validate(training);
  Vocabulary vocabulary = vocabulary_of_bytes();
  vocabulary.pre_tokenizer = training.pre_tokenizer;
  WordCells words = gather_words(training, texts, progress, vocabulary, report);
  if (progress.counted) progress.counted(report);
  const auto tokens = static_cast<std::size_t>(training.vocabulary_size - 1);
  if (!learn_merges(std::move(words), tokens, training.threads, progress.merging, vocabulary))
    throw DataError(
        "the text yields {} merges, {} tokens with the 256 bytes and {}; a vocabulary of {} needs more text",
        vocabulary.merges.size(), vocabulary.tokens.size() + 1, kEndOfText, training.vocabulary_size);
  return vocabulary;
}

void log_report(const TokenizerTrainingReport& report, Log& log) {
  log.info("counted {} different words in {} documents, {} of text{}", format_grouped(report.words),
           format_grouped(report.documents), format_bytes(static_cast<double>(report.text_bytes)),
           report.spilled_bytes == 0 ? std::string()
                                     : fmt::format("; memory was full, {} went through a scratch file",
                                                   format_bytes(static_cast<double>(report.spilled_bytes))));
  if (report.words_left_out > 0)
    log.warning(
        "{} of the rarest or longest words were left out, {:.3f} % of the text's words: memory does not hold more",
        format_grouped(report.words_left_out),
        100 * static_cast<double>(report.occurrences_left_out) / static_cast<double>(report.occurrences));
}

}  // namespace

/// Tokenizer's door for training.
Tokenizer trained_tokenizer(Vocabulary vocabulary) {
  vocabulary.add_special_token(kEndOfText);
  return Tokenizer(std::make_unique<Tokenizer::State>(std::move(vocabulary)));
}

TrainedTokenizer train_tokenizer(const TokenizerTraining& training, const TextInputs& inputs, Log& log) {
  const SystemClock clock;
  ProgressLines progress(log, clock);
  const auto line = [&](const char* step) {
    return [&, step](double part) { progress.line("{}: {:.0f} %", step, 100 * part); };
  };
  TokenizerTrainingReport report;
  const auto texts = texts_in_files(inputs, training.threads);
  const auto counted = [&](const TokenizerTrainingReport& so_far) {
    if (so_far.documents == 0) throw DataError("{}: no text in it (data.text)", inputs.files.front());
    log_report(so_far, log);
  };
  Vocabulary vocabulary = learn(training, *texts, {line("counting words"), counted, line("merging pairs")}, report);
  log.info("trained a tokenizer of {} entries in {}", format_grouped(training.vocabulary_size),
           format_duration(progress.elapsed_s()));
  return {trained_tokenizer(std::move(vocabulary)), report};
}

TrainedTokenizer train_tokenizer(const TokenizerTraining& training, std::span<const std::string_view> texts,
                                 const std::function<void(double)>& progress) {
  const auto part = [&](double begin, double share) {
    return [&, begin, share](double fraction) {
      if (progress) progress(begin + share * fraction);
    };
  };
  TokenizerTrainingReport report;
  const auto source = texts_in_memory(texts);
  const Progress both{part(0, kCountingShare), {}, part(kCountingShare, 1 - kCountingShare)};
  Vocabulary vocabulary = learn(training, *source, both, report);
  return {trained_tokenizer(std::move(vocabulary)), report};
}

Tokenizer train_tokenizer(std::span<const std::string_view> texts, std::int64_t vocabulary_size,
                          const std::function<void(double)>& progress) {
  return train_tokenizer(TokenizerTraining{.vocabulary_size = vocabulary_size}, texts, progress).tokenizer;
}

}  // namespace stoa::trainer
