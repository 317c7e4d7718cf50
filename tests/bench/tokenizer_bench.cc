/// tokenizer_bench TOKENIZER.json TEXT [ROUNDS]: loading a tokenizer and encoding a file with one thread, after one
/// round of warming up. Prints one line of JSON for tokenizer_bench.py: medians of user CPU time, which other work on
/// the machine disturbs little.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::trainer {
namespace {

double cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + 1e-6 * static_cast<double>(usage.ru_utime.tv_usec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Documents between lines <|endoftext|>, as scripts/quickstart_corpus writes them.
std::vector<std::string_view> documents_of(std::string_view text) {
  constexpr std::string_view kSeparator = "<|endoftext|>\n";
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(kSeparator), text.size());
    if (end > 0) documents.push_back(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + kSeparator.size()));
  }
  return documents;
}

int run(const char* tokenizer_path, const char* text_path, int rounds) {
  const double before_loading = cpu_s();
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_path);
  const double load_s = cpu_s() - before_loading;
  const MappedFile file(text_path);
  const std::vector<std::string_view> documents = documents_of(file.text());
  std::vector<double> seconds;
  std::size_t bytes = 0;
  std::size_t tokens = 0;
  for (int round = 0; round <= rounds; ++round) {
    Encoder encoder(tokenizer);
    std::vector<std::int32_t> ids;
    bytes = tokens = 0;
    const double begin = cpu_s();
    for (const std::string_view document : documents) {
      ids.clear();
      encoder.encode(document, ids);
      bytes += document.size();
      tokens += ids.size();
    }
    if (round > 0) seconds.push_back(cpu_s() - begin);
  }
  fmt::print("{{\"load_s\": {:.4f}, \"seconds\": {:.4f}, \"bytes\": {}, \"tokens\": {}, \"mb_per_s\": {:.1f}}}\n",
             load_s, median(seconds), bytes, tokens, 1e-6 * static_cast<double>(bytes) / median(seconds));
  return 0;
}

}  // namespace
}  // namespace stoa::trainer

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: tokenizer_bench TOKENIZER.json TEXT [ROUNDS]\n");
    return 2;
  }
  try {
    return stoa::trainer::run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 5);
  } catch (const stoa::Error& error) {
    fmt::print(stderr, "tokenizer_bench: {}\n", error.what());
    return 1;
  }
}
