#include "stoa/trainer/data/tokenizer_training_runs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;
constexpr std::size_t kMostRunsAtOnce = 64;
constexpr std::size_t kLongestNumber = 10;

void append_number(std::string& bytes, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) bytes.push_back(static_cast<char>(0x80 | (number & 0x7F)));
  bytes.push_back(static_cast<char>(number));
}

void append_record(std::string& bytes, const CountedWord& word) {
  append_number(bytes, word.bytes.size());
  append_number(bytes, word.count);
  bytes += word.bytes;
}

class TableStream final : public WordStream {
 public:
  TableStream(const WordTable& table, const std::vector<WordTable::Place>& places) : table_(table), places_(places) {}
  bool next(CountedWord& word) override {
    if (at_ == places_.size()) return false;
    word = table_.word(places_[at_++]);
    return true;
  }

 private:
  const WordTable& table_;
  const std::vector<WordTable::Place>& places_;
  std::size_t at_ = 0;
};

class RunStream final : public WordStream {
 public:
  RunStream(const ScratchFile& file, std::uint64_t begin, std::uint64_t end) : file_(file), at_(begin), end_(end) {}

  bool next(CountedWord& word) override {
    if (at_ == end_ && used_ == buffer_.size()) return false;
    require(2 * kLongestNumber, /*exactly=*/std::nullopt);
    const std::size_t length = number();
    word.count = number();
    require(length, length);
    word.bytes = std::string_view(buffer_).substr(used_, length);
    word.hash = word_hash(word.bytes);
    used_ += length;
    return true;
  }

 private:
  /// Makes `wanted` bytes of the run stand in the buffer, or what is left of it.
  void require(std::size_t wanted, std::optional<std::size_t> exactly) {
    if (buffer_.size() - used_ >= wanted) return;
    buffer_.erase(0, used_);
    used_ = 0;
    const std::size_t had = buffer_.size();
    const auto more =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(kBufferBytes, wanted) - had, end_ - at_));
    buffer_.resize(had + more);
    if (file_.read(at_, buffer_.data() + had, more) != more) throw InternalError("a run of words has lost its end");
    at_ += more;
    if (exactly && buffer_.size() < *exactly) throw InternalError("a run of words ends inside a word");
  }

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && used_ < buffer_.size(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(buffer_[used_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    throw InternalError("a run of words ends inside a number");
  }

  const ScratchFile& file_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::string buffer_;
  std::size_t used_ = 0;
};

class Sum final : public WordStream {
 private:
  auto after() const {
    return [this](std::size_t a, std::size_t b) { return heads_[b] < heads_[a]; };
  }

 public:
  explicit Sum(std::vector<std::unique_ptr<WordStream>> streams) : streams_(std::move(streams)) {
    heads_.resize(streams_.size());
    for (std::size_t s = 0; s < streams_.size(); ++s)
      if (streams_[s]->next(heads_[s])) heap_.push_back(s);
    std::make_heap(heap_.begin(), heap_.end(), after());
  }

  bool next(CountedWord& word) override {
    if (heap_.empty()) return false;
    const CountedWord& first = heads_[heap_.front()];
    bytes_.assign(first.bytes);
    word = {first.hash, bytes_, 0};
    while (!heap_.empty() && heads_[heap_.front()].is_same_word(word)) {
      std::pop_heap(heap_.begin(), heap_.end(), after());
      const std::size_t s = heap_.back();
      word.count += heads_[s].count;
      if (streams_[s]->next(heads_[s]))
        std::push_heap(heap_.begin(), heap_.end(), after());
      else
        heap_.pop_back();
    }
    return true;
  }

 private:
  std::vector<std::unique_ptr<WordStream>> streams_;
  std::vector<CountedWord> heads_;
  std::vector<std::size_t> heap_;
  std::string bytes_;
};

/// Appends all words; returns how many bytes that took.
std::uint64_t write_run(ScratchFile& file, WordStream& words) {
  const std::uint64_t begin = file.size();
  std::string buffer;
  CountedWord word;
  while (words.next(word)) {
    append_record(buffer, word);
    if (buffer.size() < kBufferBytes) continue;
    file.append(buffer);
    buffer.clear();
  }
  file.append(buffer);
  return file.size() - begin;
}

}  // namespace

ScratchFile::ScratchFile(const std::filesystem::path& folder) : place_(folder.empty() ? "." : folder) {
  fd_ = FileDescriptor(::open(place_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd_) return;
  // Network file systems know no files without a name: the name goes at once.
  std::string name = (place_ / ".stoa-words-XXXXXX").string();
  fd_ = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_)
    throw StorageError("{}: no scratch file can be made in this folder: {}", place_.string(), errno_message(errno));
  ::unlink(name.c_str());
}

void ScratchFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw StorageError(
          "{}: {} of counted words were written there, then: {}; make room, give more memory, or name "
          "another folder",
          place_.string(), size_, errno_message(errno));
    size_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::size_t ScratchFile::read(std::uint64_t offset, char* bytes, std::size_t size) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_.get(), bytes + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: a scratch file cannot be read: {}", place_.string(), errno_message(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

SpillingWords::SpillingWords(std::filesystem::path folder, std::size_t most_bytes)
    : folder_(std::move(folder)), most_bytes_(most_bytes) {}

void SpillingWords::spill() {
  if (!file_) file_ = std::make_unique<ScratchFile>(folder_);
  const std::vector<WordTable::Place> sorted = table_.sorted();
  TableStream words(table_, sorted);
  const std::uint64_t begin = file_->size();
  spilled_bytes_ += write_run(*file_, words);
  runs_.push_back({begin, file_->size()});
  table_.clear();
}

void SpillingWords::finish() {
  sorted_ = table_.sorted();
  while (runs_.size() > kMostRunsAtOnce) join_runs();
}

void SpillingWords::join_runs() {
  auto joined = std::make_unique<ScratchFile>(folder_);
  std::vector<Run> runs;
  for (std::size_t first = 0; first < runs_.size(); first += kMostRunsAtOnce) {
    std::vector<std::unique_ptr<WordStream>> streams;
    for (std::size_t r = first; r < std::min(first + kMostRunsAtOnce, runs_.size()); ++r)
      streams.push_back(std::make_unique<RunStream>(*file_, runs_[r].begin, runs_[r].end));
    const std::uint64_t begin = joined->size();
    spilled_bytes_ += write_run(*joined, *sum_of(std::move(streams)));
    runs.push_back({begin, joined->size()});
  }
  file_ = std::move(joined);
  runs_ = std::move(runs);
}

void SpillingWords::append_streams(std::vector<std::unique_ptr<WordStream>>& streams) const {
  streams.push_back(std::make_unique<TableStream>(table_, sorted_));
  for (const Run& run : runs_) streams.push_back(std::make_unique<RunStream>(*file_, run.begin, run.end));
}

std::unique_ptr<WordStream> sum_of(std::vector<std::unique_ptr<WordStream>> streams) {
  return std::make_unique<Sum>(std::move(streams));
}

}  // namespace stoa::trainer
