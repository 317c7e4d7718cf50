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

/// All documents, in memory.
std::vector<std::string> read_documents(const TextInputs& inputs) {
  std::vector<std::string> texts;
  TextChunkReader reader(inputs);
  ChunkDocuments documents(inputs);
  for (TextChunk chunk; reader.next(chunk);)
    for (const DocumentView& document : documents.find(chunk)) texts.emplace_back(document.text);
  if (texts.empty()) throw DataError("{}: no text in it (data.text)", inputs.files.front());
  return texts;
}

void train_and_save(const TextInputs& inputs, const std::filesystem::path& path, std::int64_t vocabulary_size, Log& log,
                    const Clock& clock) {
  ProgressLines progress(log, clock);
  const std::vector<std::string> texts = read_documents(inputs);
  double bytes = 0;
  for (const std::string& text : texts) bytes += static_cast<double>(text.size());
  log.info("training a tokenizer of {} entries on {} of text", format_grouped(vocabulary_size), format_bytes(bytes));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const Tokenizer tokenizer = train_tokenizer(views, vocabulary_size, [&](double fraction) {
    progress.line("training the tokenizer: {:.0f} %", 100 * fraction);
  });
  make_folder_of(path);
  write_file_durably(path, tokenizer.to_json());
  log.info("wrote {} in {}", path.string(), format_duration(progress.elapsed_s()));
}

void check_size(const DataSettings& settings, const Tokenizer& tokenizer, std::int64_t vocabulary_size) {
  if (tokenizer.vocabulary_size() != vocabulary_size)
    throw DataError("{}: the tokenizer has {} entries, but model.vocabulary_size is {}", settings.tokenizer,
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

PreparedData prepare_data(const DataSettings& settings, std::int64_t vocabulary_size, Log& log, int threads) {
  if (is_there(indexed::index_path(settings.prefix))) return open_prepared(settings, vocabulary_size);
  if (settings.text.empty())
    throw DataError("{}: no such data set, and data.text names no files to make it from",
                    indexed::index_path(settings.prefix).string());
  if (settings.tokenizer.empty()) throw DataError("data.tokenizer is empty: a name for tokenizer.json is needed");
  const SystemClock clock;
  const TextInputs inputs{settings.text, settings.document_separator, settings.text_field};
  if (!is_there(settings.tokenizer)) train_and_save(inputs, settings.tokenizer, vocabulary_size, log, clock);
  const Tokenizer tokenizer = Tokenizer::load(settings.tokenizer);
  check_size(settings, tokenizer, vocabulary_size);
  make_folder_of(settings.prefix);
  const int workers = threads > 0 ? threads : static_cast<int>(allowed_processors().size());
  const EncodedText encoded = encode_files(inputs, tokenizer, settings.prefix, workers, log, clock);
  return {encoded.documents, encoded.tokens, encoded.text_bytes};
}

}  // namespace stoa::trainer
