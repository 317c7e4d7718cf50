#pragma once
/// Documents of many large input files, in bounded memory: a chunk reader cuts the files (plain or compressed) at ends
/// of documents, one thread at a time; finding the documents in a chunk is work for many threads (ordered_work.h).
///
/// A file's form is in its name: .jsonl or .ndjson is one JSON object a line, anything else is text whose documents are
/// separated as in text_documents.h; either may end in .gz or .zst. Where a chunk is cut depends on the files alone.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::trainer {

struct TextInputs {
  std::vector<std::string> files;  ///< read in this order
  std::string document_separator = "<|endoftext|>";
  std::string text_field = "text";  ///< of a JSON object: the string that is the document
};

/// Whole documents of one file, uncompressed, in the file's own form.
struct TextChunk {
  std::int64_t number = 0;  ///< 0, 1, ... over all files
  std::int64_t file = 0;    ///< index into TextInputs::files
  std::int64_t offset = 0;  ///< of the first byte in the uncompressed file
  std::int64_t line = 0;    ///< number of the first line in the file, from 1
  std::string bytes;
};

/// .jsonl or .ndjson, a compression's ending aside.
bool is_json_lines(std::string_view file);

/// One thread at a time.
class TextChunkReader {
 public:
  /// DataError where a file is missing. A chunk ends at the first end of a document at or after chunk_bytes, or with
  /// its file. A document of more than most_document_bytes is a DataError (bounded memory, also for compressed files
  /// that expand without end). REQUIRES: 1 <= chunk_bytes <= most_document_bytes.
  explicit TextChunkReader(const TextInputs& inputs, std::int64_t chunk_bytes = std::int64_t{1} << 20,
                           std::int64_t most_document_bytes = std::int64_t{1} << 30);
  ~TextChunkReader();
  /// False after the last file. Damaged compression is a DataError with the file and the byte.
  bool next(TextChunk& chunk);
  /// Goes on with the chunk after `chunk`, whose bytes are not needed but whose place is: `chunk.number + 1`, in the
  /// same file at `offset` and `line`, where a chunk must have ended. What comes before in a compressed file is read
  /// again.
  void go_on_after(const TextChunk& chunk, std::int64_t offset, std::int64_t line);
  /// Bytes on disk (compressed) read so far, and of all files: for progress.
  std::int64_t bytes_read() const;
  std::int64_t bytes_in_all() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A document of a chunk. The views live as long as the chunk and the ChunkDocuments that gave them.
struct DocumentView {
  std::string_view text;
  std::int64_t line = 0;         ///< where it begins in its file, from 1
  std::string_view json_object;  ///< the whole object of a JSON line; empty for plain text
};

/// Finds the documents of chunks, with memory kept between calls. One thread at a time; each thread has its own.
class ChunkDocuments {
 public:
  explicit ChunkDocuments(const TextInputs& inputs);
  ~ChunkDocuments();
  /// Documents in order; an empty text is none. JSON lines: lines of white space alone and a byte-order mark at the
  /// file's beginning are passed over. DataError "FILE:LINE: ..." where another line is not one JSON object in UTF-8
  /// with one string under text_field, nests deeper than 1024 or has a lone surrogate. Plain text is any bytes. The
  /// result is valid until the next call.
  const std::vector<DocumentView>& find(const TextChunk& chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
