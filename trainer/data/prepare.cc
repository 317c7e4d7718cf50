#include "stoa/trainer/data/prepare.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <thread>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/text_documents.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::trainer {
namespace {

constexpr double kProgressEvery_s = 2;
/// Documents are handed to threads in chunks of about this much text, and written in their order.
constexpr std::size_t kChunkBytes = 1 << 20;
constexpr std::size_t kChunksPerThread = 4;
/// A data set up to this size is read through before it is used (less than a second).
constexpr std::int64_t kMostTokensToVerify = std::int64_t{1} << 28;

/// Lets one line through each two seconds.
class Progress {
 public:
  Progress(Log& log, const Clock& clock) : log_(log), clock_(clock), began_s_(clock.monotonic_s()), last_s_(began_s_) {}

  double elapsed_s() const { return clock_.monotonic_s() - began_s_; }

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    const double now_s = clock_.monotonic_s();
    if (now_s - last_s_ < kProgressEvery_s) return;
    last_s_ = now_s;
    log_.info("{}", fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  Log& log_;
  const Clock& clock_;
  double began_s_;
  double last_s_;
};

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

Tokenizer train_and_save(const DataSettings& settings, std::int64_t vocabulary_size, const TextDocuments& text,
                         Log& log, const Clock& clock) {
  Progress progress(log, clock);
  log.info("training a tokenizer of {} entries on {} of text", format_grouped(vocabulary_size),
           format_bytes(static_cast<double>(text.bytes())));
  const Tokenizer tokenizer = train_tokenizer(text.documents(), vocabulary_size, [&](double fraction) {
    progress.line("training the tokenizer: {:.0f} %", 100 * fraction);
  });
  make_folder_of(settings.tokenizer);
  write_file_durably(settings.tokenizer, tokenizer.to_json());
  log.info("wrote {} in {}", settings.tokenizer, format_duration(progress.elapsed_s()));
  return Tokenizer::load(settings.tokenizer);
}

struct Chunk {
  std::span<const std::string_view> documents;
  std::vector<std::int32_t> tokens;
  std::vector<std::size_t> ends;  ///< of each document in `tokens`
};

std::vector<Chunk> cut_into_chunks(std::span<const std::string_view> documents) {
  std::vector<Chunk> chunks;
  for (std::size_t begin = 0; begin < documents.size();) {
    std::size_t end = begin;
    for (std::size_t bytes = 0; end < documents.size() && bytes < kChunkBytes; ++end) bytes += documents[end].size();
    chunks.push_back({documents.subspan(begin, end - begin), {}, {}});
    begin = end;
  }
  return chunks;
}

void encode_chunk(Encoder& encoder, std::int32_t end_of_text, Chunk& chunk) {
  for (const std::string_view document : chunk.documents) {
    encoder.encode(document, chunk.tokens);
    chunk.tokens.push_back(end_of_text);
    chunk.ends.push_back(chunk.tokens.size());
  }
}

/// Encodes all chunks at once, each wholly by one thread; the first failure is thrown here.
void encode_chunks(std::deque<Encoder>& encoders, std::int32_t end_of_text, std::span<Chunk> chunks) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(encoders.size());
  const auto work = [&](std::size_t worker) {
    try {
      for (std::size_t c = next++; c < chunks.size(); c = next++)
        encode_chunk(encoders[worker], end_of_text, chunks[c]);
    } catch (...) {
      failures[worker] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 1; worker < encoders.size(); ++worker) threads.emplace_back(work, worker);
    work(0);
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

PreparedData encode_and_save(const DataSettings& settings, const Tokenizer& tokenizer, const TextDocuments& text,
                             Log& log, const Clock& clock) {
  Progress progress(log, clock);
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::deque<Encoder> encoders;
  for (std::size_t thread = 0; thread < threads; ++thread) encoders.emplace_back(tokenizer);
  make_folder_of(settings.prefix);
  IndexedDatasetWriter writer(settings.prefix, tokenizer.vocabulary_size());
  PreparedData prepared{0, 0, text.bytes()};
  std::vector<Chunk> chunks = cut_into_chunks(text.documents());
  for (std::size_t begin = 0; begin < chunks.size(); begin += threads * kChunksPerThread) {
    const auto batch = std::span(chunks).subspan(begin, std::min(threads * kChunksPerThread, chunks.size() - begin));
    encode_chunks(encoders, tokenizer.end_of_text(), batch);
    for (Chunk& chunk : batch) {
      std::size_t document_begin = 0;
      for (const std::size_t end : chunk.ends) {
        writer.add_document(std::span(chunk.tokens).subspan(document_begin, end - document_begin));
        document_begin = end;
      }
      prepared.documents += static_cast<std::int64_t>(chunk.ends.size());
      prepared.tokens += static_cast<std::int64_t>(chunk.tokens.size());
      chunk = {};
    }
    progress.line("encoding: {} documents, {} tokens, {:.0f} %", format_grouped(prepared.documents),
                  format_grouped(prepared.tokens),
                  100.0 * static_cast<double>(begin + batch.size()) / static_cast<double>(chunks.size()));
  }
  writer.finish();
  write_checksums(settings.prefix);
  log.info("wrote {}.bin and .idx: {} documents, {} tokens from {} of text in {}", settings.prefix,
           format_grouped(prepared.documents), format_grouped(prepared.tokens),
           format_bytes(static_cast<double>(prepared.text_bytes)), format_duration(progress.elapsed_s()));
  return prepared;
}

void check_size(const DataSettings& settings, const Tokenizer& tokenizer, std::int64_t vocabulary_size) {
  if (tokenizer.vocabulary_size() > vocabulary_size)
    throw DataError("{}: the tokenizer has {} entries, more than model.vocabulary_size {}", settings.tokenizer,
                    tokenizer.vocabulary_size(), vocabulary_size);
}

PreparedData open_prepared(const DataSettings& settings, std::int64_t vocabulary_size) {
  const IndexedDataset dataset(settings.prefix);
  if (!settings.tokenizer.empty()) check_size(settings, Tokenizer::load(settings.tokenizer), vocabulary_size);
  if (dataset.tokens() <= kMostTokensToVerify) dataset.verify_tokens(vocabulary_size);
  return {dataset.documents(), dataset.tokens(), 0};
}

}  // namespace

PreparedData prepare_data(const DataSettings& settings, std::int64_t vocabulary_size, Log& log) {
  if (is_there(indexed::index_path(settings.prefix))) return open_prepared(settings, vocabulary_size);
  if (settings.text.empty())
    throw DataError("{}: no such data set, and data.text names no files to make it from",
                    indexed::index_path(settings.prefix).string());
  if (settings.tokenizer.empty()) throw DataError("data.tokenizer is empty: a name for tokenizer.json is needed");
  const SystemClock clock;
  const TextDocuments text(settings.text, settings.document_separator);
  if (text.documents().empty()) throw DataError("{}: no text in it (data.text)", settings.text.front());
  const Tokenizer tokenizer = is_there(settings.tokenizer)
                                  ? Tokenizer::load(settings.tokenizer)
                                  : train_and_save(settings, vocabulary_size, text, log, clock);
  check_size(settings, tokenizer, vocabulary_size);
  return encode_and_save(settings, tokenizer, text, log, clock);
}

}  // namespace stoa::trainer
