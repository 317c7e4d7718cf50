#include "stoa/trainer/data/prepare_encoding.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/ordered_work.h"
#include "stoa/trainer/data/prepare_journal.h"

namespace stoa::trainer {
namespace {

/// What a thread works on at a time. Part of what the bytes on disk do not depend on, but durable points do.
constexpr std::int64_t kChunkBytes = std::int64_t{1} << 20;
constexpr std::int64_t kMostDocumentBytes = std::int64_t{1} << 30;

Json files_of(const TextInputs& inputs) {
  Json files = Json::array();
  for (const std::string& file : inputs.files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) throw DataError("{}: no such file", file);
    files.push_back({{"file", file},
                     {"bytes", static_cast<std::int64_t>(status.st_size)},
                     {"changed", fmt::format("{}.{:09}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec)}});
  }
  return files;
}

Json what_bytes_depend_on(const TextInputs& inputs, const Tokenizer& tokenizer, int type) {
  return {{"journal", 1},
          {"tokenizer", tokenizer.fingerprint()},
          {"document_separator", inputs.document_separator},
          {"text_field", inputs.text_field},
          {"type", type},
          {"chunk_bytes", kChunkBytes},
          {"files", files_of(inputs)}};
}

struct Item {
  TextChunk chunk;
  std::int64_t bytes_read = 0;  // on disk, when the chunk was cut
  std::int64_t lines = 0;
  std::vector<std::byte> tokens;
  std::vector<std::int32_t> lengths;
};

/// What a thread keeps.
struct Worker {
  Worker(const Tokenizer& tokenizer, const TextInputs& inputs) : encoder(tokenizer), documents(inputs) {}
  Encoder encoder;
  ChunkDocuments documents;
  std::vector<std::int32_t> tokens;
};

void encode(Worker& worker, std::int32_t end_of_text, int type, const std::string& file, Item& item) {
  worker.tokens.clear();
  for (const DocumentView& document : worker.documents.find(item.chunk)) {
    const std::size_t before = worker.tokens.size();
    worker.encoder.encode(document.text, worker.tokens);
    worker.tokens.push_back(end_of_text);
    const std::size_t length = worker.tokens.size() - before;
    if (length > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      throw DataError("{}:{}: the document has {} tokens; the format's lengths are 32 bits wide", file, document.line,
                      length);
    item.lengths.push_back(static_cast<std::int32_t>(length));
  }
  if (type == indexed::kUint16)
    indexed::store_as<std::uint16_t>(worker.tokens, item.tokens);
  else
    indexed::store_as<std::int32_t>(worker.tokens, item.tokens);
  item.lines = std::count(item.chunk.bytes.begin(), item.chunk.bytes.end(), '\n');
}

PreparedUpTo up_to_after(const PreparedUpTo& before, const Item& item) {
  const auto size = static_cast<std::int64_t>(item.chunk.bytes.size());
  return {item.chunk.number,
          item.chunk.file,
          item.chunk.offset + size,
          item.chunk.line + item.lines,
          before.text_bytes + size,
          before.documents + static_cast<std::int64_t>(item.lengths.size()),
          before.bin_bytes + static_cast<std::int64_t>(item.tokens.size())};
}

void encode_the_rest(const TextInputs& inputs, const Tokenizer& tokenizer, int type, int threads,
                     DatasetInProgress& dataset, ProgressLines& progress) {
  TextChunkReader reader(inputs, kChunkBytes, kMostDocumentBytes);
  if (const PreparedUpTo& from = dataset.up_to(); from.chunk >= 0) {
    TextChunk last;
    last.number = from.chunk;
    last.file = from.file;
    reader.go_on_after(last, from.offset, from.line);
  }
  const auto bytes_in_all = static_cast<double>(std::max<std::int64_t>(reader.bytes_in_all(), 1));
  std::deque<Worker> workers;
  for (int worker = 0; worker < threads; ++worker) workers.emplace_back(tokenizer, inputs);
  work_in_order<Item>(
      threads,
      [&](Item& item) {
        const bool more = reader.next(item.chunk);
        item.bytes_read = reader.bytes_read();
        return more;
      },
      [&](int worker, Item& item) {
        encode(workers[static_cast<std::size_t>(worker)], tokenizer.end_of_text(), type,
               inputs.files[static_cast<std::size_t>(item.chunk.file)], item);
      },
      [&](const Item& item) {
        dataset.append(item.tokens, item.lengths, up_to_after(dataset.up_to(), item));
        progress.line("encoding: {} documents, {} of text, {:.0f} %", format_grouped(dataset.up_to().documents),
                      format_bytes(static_cast<double>(dataset.up_to().text_bytes)),
                      100.0 * static_cast<double>(item.bytes_read) / bytes_in_all);
      });
}

}  // namespace

EncodedText encode_files(const TextInputs& inputs, const Tokenizer& tokenizer, const std::filesystem::path& prefix,
                         int threads, Log& log, const Clock& clock) {
  ProgressLines progress(log, clock);
  const int type = tokenizer.vocabulary_size() < indexed::kSmallestWideVocabulary ? indexed::kUint16 : indexed::kInt32;
  const Json depends_on = what_bytes_depend_on(inputs, tokenizer, type);
  DatasetInProgress dataset(prefix, type, depends_on, log);
  if (!dataset.is_whole()) encode_the_rest(inputs, tokenizer, type, threads, dataset, progress);
  const PreparedUpTo& all = dataset.up_to();
  if (all.documents == 0)
    throw DataError("{}: no text in it{}", inputs.files.front(),
                    inputs.files.size() > 1 ? fmt::format(", nor in {} other files", inputs.files.size() - 1) : "");
  const Json files = files_of(inputs);
  for (std::size_t file = 0; file < files.size(); ++file)
    if (files[file] != depends_on.at("files")[file])
      throw DataError("{}: it has changed while it was read; prepare again", inputs.files[file]);
  dataset.finish();
  const EncodedText encoded{all.documents, all.bin_bytes / indexed::token_bytes(type), all.text_bytes};
  log.info("wrote {}.bin and .idx: {} documents, {} tokens from {} of text in {}", prefix.string(),
           format_grouped(encoded.documents), format_grouped(encoded.tokens),
           format_bytes(static_cast<double>(encoded.text_bytes)), format_duration(progress.elapsed_s()));
  return encoded;
}

}  // namespace stoa::trainer
