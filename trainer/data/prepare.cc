#include "stoa/trainer/data/prepare.h"

#include <algorithm>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/prepare_encoding.h"
#include "stoa/trainer/data/prepare_journal.h"
#include "stoa/trainer/data/text_chunks.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_training.h"

namespace stoa::trainer {
namespace {

/// A data set up to this size is read through before it is used (less than a second).
constexpr std::int64_t kMostTokensToVerify = std::int64_t{1} << 28;

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

void make_folder_of(const std::filesystem::path& path) {
  if (!path.has_parent_path()) return;
  std::error_code failure;
  std::filesystem::create_directories(path.parent_path(), failure);
  if (failure) throw StorageError("{}: the folder cannot be made: {}", path.parent_path().string(), failure.message());
}

void train_and_save(const TextInputs& inputs, const std::filesystem::path& path, std::int64_t vocabulary_size,
                    int threads, Log& log, const Clock& clock) {
  const double began_s = clock.monotonic_s();
  make_folder_of(path);
  TokenizerTraining training;
  training.vocabulary_size = vocabulary_size;
  training.threads = threads;
  training.scratch_folder = std::filesystem::absolute(path).parent_path();
  log.info("training a tokenizer of {} entries on {} files", format_grouped(vocabulary_size), inputs.files.size());
  const TrainedTokenizer trained = train_tokenizer(training, inputs, log);
  write_file_durably(path, trained.tokenizer.to_json());
  log.info("wrote {}: from {} of text in {}", path.string(),
           format_bytes(static_cast<double>(trained.report.text_bytes)),
           format_duration(clock.monotonic_s() - began_s));
}

void check_size(const DataSettings& settings, const Tokenizer& tokenizer, std::int64_t vocabulary_size) {
  if (tokenizer.vocabulary_size() > vocabulary_size)
    throw DataError("{}: the tokenizer has {} entries, more than model.vocabulary_size {}", settings.tokenizer,
                    tokenizer.vocabulary_size(), vocabulary_size);
}

PreparedData open_prepared(const DataSettings& settings, std::int64_t vocabulary_size) {
  const IndexedDataset dataset(settings.prefix);
  DatasetInProgress::clean_up_after_publishing(settings.prefix);
  if (!settings.tokenizer.empty()) check_size(settings, Tokenizer::load(settings.tokenizer), vocabulary_size);
  if (dataset.tokens() <= kMostTokensToVerify) dataset.verify_tokens(vocabulary_size);
  return {dataset.documents(), dataset.tokens(), 0};
}

}  // namespace

void prepare_tokenizer(const DataSettings& settings, std::int64_t vocabulary_size, Log& log, int threads) {
  if (is_there(settings.tokenizer)) return;
  train_and_save({settings.text, settings.document_separator, settings.text_field}, settings.tokenizer, vocabulary_size,
                 threads_or_all(threads), log, SystemClock());
}

PreparedData prepare_data(const DataSettings& settings, std::int64_t vocabulary_size, Log& log, int threads) {
  if (is_there(indexed::index_path(settings.prefix))) return open_prepared(settings, vocabulary_size);
  if (settings.text.empty())
    throw DataError("{}: no such data set, and data.text names no files to make it from",
                    indexed::index_path(settings.prefix).string());
  if (settings.tokenizer.empty()) throw DataError("data.tokenizer is empty: a name for tokenizer.json is needed");
  const SystemClock clock;
  const TextInputs inputs{settings.text, settings.document_separator, settings.text_field};
  prepare_tokenizer(settings, vocabulary_size, log, threads);
  const Tokenizer tokenizer = Tokenizer::load(settings.tokenizer);
  check_size(settings, tokenizer, vocabulary_size);
  make_folder_of(settings.prefix);
  const EncodedText encoded = encode_files(inputs, tokenizer, settings.prefix, threads_or_all(threads), log, clock);
  return {encoded.documents, encoded.tokens, encoded.text_bytes};
}

}  // namespace stoa::trainer
