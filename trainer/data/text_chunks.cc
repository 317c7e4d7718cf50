#include "stoa/trainer/data/text_chunks.h"

#include <algorithm>
#include <cstring>

#include "stoa/base/compress.h"
#include "stoa/base/error.h"
#include "stoa/trainer/data/json_documents.h"
#include "stoa/trainer/data/text_documents.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kReadBytes = 1 << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kNone = std::string_view::npos;

bool is_separator(std::string_view line, std::string_view separator) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line == separator;
}

std::int64_t newlines(std::string_view text) { return std::count(text.begin(), text.end(), '\n'); }

/// Finds ends of documents in the beginning of a file of which more and more is known.
class DocumentEnds {
 public:
  DocumentEnds(bool json_lines, std::string_view separator) : json_lines_(json_lines), separator_(separator) {}

  /// The first end of a document, after the newline of its last line, that is at or after `least`; kNone while there is
  /// none. `text` begins where it did in the call before.
  std::size_t first_from(std::size_t least, std::string_view text) {
    while (line_ < text.size()) {
      const std::size_t newline = text.find('\n', std::max(line_, searched_));
      if (newline == kNone) break;
      const std::size_t end = newline + 1;
      const bool is_end = json_lines_ || is_separator(text.substr(line_, newline - line_), separator_);
      line_ = searched_ = end;
      if (is_end && end >= least) return end;
      if (is_end) last_ = end;
    }
    searched_ = text.size();
    return kNone;
  }
  /// The last end of a document before the one that was found, or that was looked for; 0 where there was none.
  std::size_t last_before() const { return last_; }

 private:
  bool json_lines_;
  std::string_view separator_;
  std::size_t line_ = 0;      // where the line begins that is looked at
  std::size_t searched_ = 0;  // no newline from line_ to here
  std::size_t last_ = 0;
};

}  // namespace

bool is_json_lines(std::string_view file) {
  const std::string_view name = without_compression_ending(file);
  return name.ends_with(".jsonl") || name.ends_with(".ndjson");
}

struct TextChunkReader::State {
  TextInputs inputs;
  std::size_t chunk_bytes = 0;
  std::size_t most_document_bytes = 0;
  std::unique_ptr<InputStream> input;
  TextChunk place;  // of the next chunk; its bytes were read beyond the last one
  bool at_end = true;
  std::int64_t bytes_before = 0;  // of the files before this one
  std::int64_t bytes_in_all = 0;

  const std::string& file() const { return inputs.files[static_cast<std::size_t>(place.file)]; }

  void open() {
    input = std::make_unique<InputStream>(file());
    at_end = false;
  }

  /// False after the last file.
  bool open_next() {
    if (input) {
      bytes_before += input->bytes_in_all();
      ++place.file;
      input.reset();
    }
    if (place.file >= static_cast<std::int64_t>(inputs.files.size())) return false;
    place.offset = 0;
    place.line = 1;
    place.bytes.clear();
    open();
    return true;
  }

  void read_more() {
    const std::size_t had = place.bytes.size();
    place.bytes.resize(had + kReadBytes);
    const std::size_t got = input->read(std::span(place.bytes).subspan(had));
    place.bytes.resize(had + got);
    at_end = got < kReadBytes;
  }

  void refuse_long_document(std::size_t at) const {
    throw DataError(
        "{}:{}: the document that begins here has more than {} bytes, the most that one may have; is this file one "
        "document a line, or separated by lines of \"{}\"?",
        file(), place.line + newlines(std::string_view(place.bytes).substr(0, at)), most_document_bytes,
        inputs.document_separator);
  }

  /// Reads until the chunk's end is known and returns it; 0 where the file has nothing more.
  std::size_t find_end() {
    DocumentEnds ends(is_json_lines(file()), inputs.document_separator);
    for (;;) {
      std::size_t end = ends.first_from(chunk_bytes, place.bytes);
      if (end == kNone && at_end) end = place.bytes.size();
      const std::size_t known = std::min(end, place.bytes.size());
      if (known - ends.last_before() > most_document_bytes) refuse_long_document(ends.last_before());
      if (end != kNone) return end;
      read_more();
    }
  }
};

TextChunkReader::TextChunkReader(const TextInputs& inputs, std::int64_t chunk_bytes, std::int64_t most_document_bytes)
    : state_(std::make_unique<State>()) {
  state_->inputs = inputs;
  state_->chunk_bytes = static_cast<std::size_t>(chunk_bytes);
  state_->most_document_bytes = static_cast<std::size_t>(most_document_bytes);
  for (const std::string& file : inputs.files) state_->bytes_in_all += InputStream(file).bytes_in_all();
}

TextChunkReader::~TextChunkReader() = default;

bool TextChunkReader::next(TextChunk& chunk) {
  State& state = *state_;
  for (;;) {
    const std::size_t end = state.input ? state.find_end() : 0;
    if (end == 0) {
      if (!state.open_next()) return false;
      continue;
    }
    TextChunk& place = state.place;
    std::string rest = place.bytes.substr(end);
    place.bytes.resize(end);
    const std::int64_t lines = newlines(place.bytes);
    chunk = std::move(place);
    place = {chunk.number + 1, chunk.file, chunk.offset + static_cast<std::int64_t>(end), chunk.line + lines,
             std::move(rest)};
    return true;
  }
}

void TextChunkReader::go_on_after(const TextChunk& chunk, std::int64_t offset, std::int64_t line) {
  State& state = *state_;
  state.place = {chunk.number + 1, chunk.file, offset, line, {}};
  state.bytes_before = 0;
  for (std::int64_t file = 0; file < chunk.file; ++file)
    state.bytes_before += InputStream(state.inputs.files[static_cast<std::size_t>(file)]).bytes_in_all();
  state.open();
  state.input->skip(offset);
}

std::int64_t TextChunkReader::bytes_read() const {
  return state_->bytes_before + (state_->input ? state_->input->bytes_read() : 0);
}
std::int64_t TextChunkReader::bytes_in_all() const { return state_->bytes_in_all; }

struct ChunkDocuments::State {
  explicit State(const TextInputs& text_inputs) : inputs(text_inputs), json(text_inputs.text_field) {}

  TextInputs inputs;
  JsonDocuments json;
  std::vector<DocumentView> documents;

  void find_in_text(const TextChunk& chunk) {
    std::int64_t line = chunk.line;
    const char* counted = chunk.bytes.data();
    for (const std::string_view text : split_documents(chunk.bytes, inputs.document_separator)) {
      line += newlines({counted, static_cast<std::size_t>(text.data() - counted)});
      counted = text.data();
      documents.push_back({text, line, {}});
    }
  }
};

ChunkDocuments::ChunkDocuments(const TextInputs& inputs) : state_(std::make_unique<State>(inputs)) {}
ChunkDocuments::~ChunkDocuments() = default;

const std::vector<DocumentView>& ChunkDocuments::find(const TextChunk& chunk) {
  State& state = *state_;
  state.documents.clear();
  const std::string& file = state.inputs.files[static_cast<std::size_t>(chunk.file)];
  if (!is_json_lines(file)) {
    state.find_in_text(chunk);
    return state.documents;
  }
  std::string_view lines = chunk.bytes;
  if (chunk.offset == 0 && lines.starts_with(kByteOrderMark)) lines.remove_prefix(kByteOrderMark.size());
  state.json.append(lines, file, chunk.line, state.documents);
  return state.documents;
}

}  // namespace stoa::trainer
