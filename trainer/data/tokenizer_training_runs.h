#pragma once
/// Sorted counts of words that did not fit into memory ("runs"), and the sum of many of them as one sorted stream.
///
/// A run's record is: length and count as base-128 numbers (low bits first), then the bytes. Runs stand in files that
/// have no name: whatever ends the process, the file system takes them back.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/trainer/data/tokenizer_training_words.h"

namespace stoa::trainer {

/// A file without a name in a folder. StorageError with the folder where it cannot be made, written or read.
class ScratchFile {
 public:
  explicit ScratchFile(const std::filesystem::path& folder);
  void append(std::string_view bytes);
  /// Up to `size` bytes from `offset`; fewer only where the file ends.
  std::size_t read(std::uint64_t offset, char* bytes, std::size_t size) const;
  std::uint64_t size() const { return size_; }

 private:
  std::filesystem::path place_;
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
};

/// Words in ascending order, each once. One thread at a time.
class WordStream {
 public:
  virtual ~WordStream() = default;
  /// False at the end. The word's bytes are valid until the next call.
  virtual bool next(CountedWord& word) = 0;
};

/// One thread's words: a table, and runs where the table was full. Borrows nothing; one thread at a time.
class SpillingWords {
 public:
  /// The scratch file is made when it is needed.
  SpillingWords(std::filesystem::path folder, std::size_t most_bytes);
  void add(std::string_view word) {
    table_.add(word);
    if (table_.memory_bytes() > most_bytes_) spill();
  }
  /// Prepares the table for streams(). Nothing may be added afterwards.
  void finish();
  /// Of the table and of each run, from their beginning. Valid as long as this. Any number of times after finish().
  void append_streams(std::vector<std::unique_ptr<WordStream>>& streams) const;
  std::size_t runs() const { return runs_.size(); }
  std::uint64_t spilled_bytes() const { return spilled_bytes_; }

 private:
  struct Run {
    std::uint64_t begin;
    std::uint64_t end;
  };
  void spill();
  /// Sums each kMostRunsAtOnce runs into one, until no more are left than that.
  void join_runs();

  std::filesystem::path folder_;
  std::size_t most_bytes_;
  WordTable table_;
  std::vector<WordTable::Place> sorted_;
  std::unique_ptr<ScratchFile> file_;
  std::vector<Run> runs_;
  std::uint64_t spilled_bytes_ = 0;
};

/// The sum of streams: each word once, with all its counts. Owns them.
std::unique_ptr<WordStream> sum_of(std::vector<std::unique_ptr<WordStream>> streams);

}  // namespace stoa::trainer
