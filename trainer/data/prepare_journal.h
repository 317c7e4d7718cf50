#pragma once
/// A data set that is written over hours and goes on after a crash with the same bytes. Beside PREFIX:
///   PREFIX.bin.partial      tokens
///   PREFIX.lengths.partial  i32 tokens of each document, which become the .idx
///   PREFIX.journal.partial  lines of JSON: what the bytes depend on, then one durable point a line
/// A durable point is written after all before it is on disk. Whatever follows the last one is cut off when the work
/// goes on. What the bytes depend on (the files with sizes and times, the tokenizer, ...) must be what it was: else the
/// work begins anew and the log says what differs.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "stoa/base/json.h"
#include "stoa/base/log.h"

namespace stoa::trainer {

/// How far the input was read and the output written. Of the chunk after which to go on; number -1 before the first.
struct PreparedUpTo {
  std::int64_t chunk = -1;
  std::int64_t file = 0;
  std::int64_t offset = 0;  ///< in the uncompressed file, of what comes next
  std::int64_t line = 1;
  std::int64_t text_bytes = 0;  ///< of all files so far, uncompressed
  std::int64_t documents = 0;
  std::int64_t bin_bytes = 0;
};

/// One thread at a time.
class DatasetInProgress {
 public:
  /// Takes up what is there or begins. `depends_on` is an object whose values are compared one by one. `type` is 4 or 8
  /// of the format. DataError where another process is writing this data set.
  DatasetInProgress(const std::filesystem::path& prefix, int type, const Json& depends_on, Log& log);
  /// Keeps what has a durable point; without one nothing is left behind.
  ~DatasetInProgress();

  const PreparedUpTo& up_to() const;
  /// All input was prepared before; only finish() is left.
  bool is_whole() const;

  /// Tokens as they lie in .bin and the lengths of their documents. `reached` counts them in. Makes a durable point
  /// every 16 MiB, the first ones sooner.
  void append(std::span<const std::byte> tokens, std::span<const std::int32_t> lengths, const PreparedUpTo& reached);
  /// Publishes PREFIX.bin, PREFIX.checksums.json, PREFIX.idx and takes the rest away.
  void finish();

  /// Takes away what a crash between publishing and the end of finish() left.
  static void clean_up_after_publishing(const std::filesystem::path& prefix);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
