#pragma once
/// The documents of lines of JSON (simdjson): what ChunkDocuments does for .jsonl and .ndjson.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/text_chunks.h"

namespace stoa::trainer {

/// Memory is kept between calls. One thread at a time; each thread has its own.
class JsonDocuments {
 public:
  explicit JsonDocuments(std::string text_field);
  ~JsonDocuments();
  /// Appends the documents of the lines in `lines`, whose first is line `first_line` of `file`. The views live until
  /// the next call. DataError as in ChunkDocuments::find.
  void append(std::string_view lines, std::string_view file, std::int64_t first_line,
              std::vector<DocumentView>& documents);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
