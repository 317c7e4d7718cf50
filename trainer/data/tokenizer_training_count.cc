#include "stoa/trainer/data/tokenizer_training_count.h"

#include <algorithm>

#include "stoa/trainer/data/ordered_work.h"
#include "stoa/trainer/data/tokenizer_training_places.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kPortionBytes = std::size_t{1} << 20;
/// Of a thread's table, however many threads share the memory: with less every word would be a run of its own.
constexpr std::size_t kLeastTableBytes = std::size_t{1} << 16;

class TextsInMemory final : public TrainingTexts {
 public:
  explicit TextsInMemory(std::span<const std::string_view> texts) : texts_(texts) {
    for (const std::string_view text : texts) bytes_ += text.size();
  }

  bool next(TextChunk& chunk) override {
    if (at_ == texts_.size()) return false;
    chunk.offset = static_cast<std::int64_t>(at_);
    for (std::size_t bytes = 0; at_ < texts_.size() && bytes < kPortionBytes; ++at_) {
      bytes += texts_[at_].size();
      read_ += texts_[at_].size();
    }
    chunk.number = static_cast<std::int64_t>(at_);
    return true;
  }

  void append_texts(int, const TextChunk& chunk, std::vector<std::string_view>& texts) override {
    const auto portion =
        texts_.subspan(static_cast<std::size_t>(chunk.offset), static_cast<std::size_t>(chunk.number - chunk.offset));
    texts.insert(texts.end(), portion.begin(), portion.end());
  }

  double part_read() const override {
    return static_cast<double>(read_) / static_cast<double>(std::max(bytes_, read_));
  }

 private:
  std::span<const std::string_view> texts_;
  std::size_t bytes_ = 1;
  std::size_t read_ = 0;
  std::size_t at_ = 0;
};

class TextsInFiles final : public TrainingTexts {
 public:
  TextsInFiles(const TextInputs& inputs, int workers) : reader_(inputs) {
    for (int w = 0; w < workers; ++w) documents_.push_back(std::make_unique<ChunkDocuments>(inputs));
  }

  bool next(TextChunk& chunk) override { return reader_.next(chunk); }

  void append_texts(int worker, const TextChunk& chunk, std::vector<std::string_view>& texts) override {
    for (const DocumentView& document : documents_[static_cast<std::size_t>(worker)]->find(chunk))
      texts.push_back(document.text);
  }

  double part_read() const override {
    return static_cast<double>(reader_.bytes_read()) /
           static_cast<double>(std::max<std::int64_t>(reader_.bytes_in_all(), 1));
  }

 private:
  TextChunkReader reader_;
  std::vector<std::unique_ptr<ChunkDocuments>> documents_;
};

/// A chunk, and what its worker found in it.
struct Portion {
  TextChunk chunk;
  double part_read = 0;
  std::int64_t documents = 0;
  std::int64_t text_bytes = 0;
  std::int64_t too_long = 0;
};

void count_text(PreTokenizer kind, std::string_view text, SpillingWords& words, Portion& portion) {
  std::size_t ends[256];
  std::size_t begin = 0;
  while (const std::size_t found = pre_token_ends(kind, text, begin, ends)) {
    for (const std::size_t end : std::span(ends).first(found)) {
      if (end - begin <= WordTable::kLongestWord)
        words.add(text.substr(begin, end - begin));
      else
        ++portion.too_long;
      begin = end;
    }
  }
}

}  // namespace

std::unique_ptr<TrainingTexts> texts_in_memory(std::span<const std::string_view> texts) {
  return std::make_unique<TextsInMemory>(texts);
}

std::unique_ptr<TrainingTexts> texts_in_files(const TextInputs& inputs, int workers) {
  return std::make_unique<TextsInFiles>(inputs, workers);
}

std::vector<SpillingWords> count_words(const TokenizerTraining& training, TrainingTexts& texts,
                                       const std::function<void(double)>& progress, TokenizerTrainingReport& report) {
  // The other half is for the words that are kept, laid out while the tables still stand.
  const auto most_bytes =
      std::max(kLeastTableBytes, static_cast<std::size_t>(training.memory_bytes / 2 / training.threads));
  std::vector<SpillingWords> words;
  for (int t = 0; t < training.threads; ++t) words.emplace_back(training.scratch_folder, most_bytes);
  std::vector<std::vector<std::string_view>> found(words.size());
  const auto produce = [&](Portion& portion) {
    const bool more = texts.next(portion.chunk);
    portion.part_read = texts.part_read();
    return more;
  };
  const auto work = [&](int worker, Portion& portion) {
    const auto w = static_cast<std::size_t>(worker);
    found[w].clear();
    texts.append_texts(worker, portion.chunk, found[w]);
    for (const std::string_view text : found[w]) {
      count_text(training.pre_tokenizer, text, words[w], portion);
      portion.text_bytes += static_cast<std::int64_t>(text.size());
    }
    portion.documents = static_cast<std::int64_t>(found[w].size());
    portion.chunk = {};
  };
  const auto consume = [&](const Portion& portion) {
    report.documents += portion.documents;
    report.text_bytes += portion.text_bytes;
    report.words_left_out += portion.too_long;
    report.occurrences_left_out += portion.too_long;
    report.occurrences += portion.too_long;
    if (progress) progress(portion.part_read);
  };
  work_in_order<Portion>(training.threads, produce, work, consume);
  // Sorting is work for all threads, too; joining runs may fail, which is not for a bare thread.
  int next = 0;
  work_in_order<int>(
      training.threads, [&](int& w) { return (w = next++) < training.threads; },
      [&](int, int& w) { words[static_cast<std::size_t>(w)].finish(); }, [](int) {});
  for (const SpillingWords& of_thread : words)
    report.spilled_bytes += static_cast<std::int64_t>(of_thread.spilled_bytes());
  return words;
}

}  // namespace stoa::trainer
