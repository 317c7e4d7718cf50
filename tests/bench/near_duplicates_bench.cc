/// Why: near-duplicate removal reads every byte of a corpus, so it must keep up with reading and filtering it: MB/s of
/// user time of one core for words and shingles, for whole signatures on each instruction set and for the index. Then
/// what it finds against the definition: resemblance by sets of shingles for every pair of documents that share one.
///
///   near_duplicates_bench FILE...    documents between lines <|endoftext|>, as scripts/quickstart_corpus makes them
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "stoa/trainer/curation/near_duplicates.h"
#include "stoa/trainer/curation/near_duplicates_words.h"
#include "stoa/trainer/data/text_documents.h"

namespace stoa::trainer {
namespace {

double user_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) / 1e6;
}

template <typename Work>
double median_seconds(Work work) {
  std::vector<double> seconds;
  for (int round = 0; round < 5; ++round) {
    const double begin = user_seconds();
    work();
    seconds.push_back(user_seconds() - begin);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

using Documents = std::span<const std::string_view>;

void speed(Documents documents, double megabytes) {
  const NearDuplicateSettings settings;
  fmt::print("{} documents, {:.1f} MB, {} permutations, shingles of {} words; MB/s of one core, medians of 5\n",
             documents.size(), megabytes, settings.permutations, settings.shingle_words);
  std::uint64_t sink = 0;
  fmt::print("{:<34} {:>8.0f}\n", "words alone", megabytes / median_seconds([&] {
                                                   for (const std::string_view text : documents)
                                                     for_each_word(text, 1, [&](std::uint64_t hash) { sink ^= hash; });
                                                 }));
  for (const cpu::Isa isa : {cpu::Isa::kPlain, cpu::Isa::kAvx2, cpu::Isa::kAvx512}) {
    if (isa > cpu::detected_isa()) continue;
    const NearDuplicateSignatures signatures(settings, isa);
    std::uint64_t kept = 0, memory = 0;
    const double made = median_seconds([&] {
      for (const std::string_view text : documents) sink ^= signatures.signature(text).bands.size();
    });
    const double whole = median_seconds([&] {
      NearDuplicateIndex index(settings);
      for (const std::string_view text : documents) index.add(signatures.signature(text));
      kept = index.kept();
      memory = index.memory_bytes();
    });
    fmt::print("{:<34} {:>8.0f}\n", fmt::format("signatures, {}", cpu::isa_name(isa)), megabytes / made);
    fmt::print("{:<34} {:>8.0f}   {} kept, {:.1f} MB of index\n",
               fmt::format("signatures and index, {}", cpu::isa_name(isa)), megabytes / whole, kept,
               static_cast<double>(memory) / 1e6);
  }
  if (sink == 42) fmt::print("\n");
}

/// The shingles of a document as 64-bit hashes, sorted, each once: sets to compare exactly (a collision is 2^-64 a
/// pair).
std::vector<std::uint64_t> shingle_set(std::string_view text, std::size_t words) {
  std::vector<std::uint64_t> hashes, shingles;
  for_each_word(text, 99, [&](std::uint64_t hash) { hashes.push_back(hash); });
  if (hashes.empty()) return {};
  const std::size_t length = std::min(words, hashes.size());
  for (std::size_t at = 0; at + length <= hashes.size(); ++at) {
    std::uint64_t shingle = length;
    for (std::size_t i = at; i < at + length; ++i) shingle = mixed(shingle + hashes[i]);
    shingles.push_back(shingle);
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

/// The most similar kept document before each one, by the definition, where a document is dropped whose similarity to a
/// kept one reaches the threshold by the index; so both see the same kept documents.
void accuracy(Documents documents) {
  const NearDuplicateSettings settings;
  const NearDuplicateSignatures signatures(settings);
  NearDuplicateIndex index(settings);
  std::vector<std::size_t> sizes(documents.size());
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> holders;  // kept documents by shingle
  std::vector<std::uint32_t> common(documents.size());
  constexpr std::size_t kBuckets = 20;
  std::vector<std::int64_t> pairs(kBuckets + 1), found(kBuckets + 1);
  std::vector<double> expected(kBuckets + 1);
  for (std::size_t document = 0; document < documents.size(); ++document) {
    const std::vector<std::uint64_t> shingles = shingle_set(documents[document], 5);
    sizes[document] = shingles.size();
    std::vector<std::uint32_t> touched;
    for (const std::uint64_t shingle : shingles)
      if (const auto holder = holders.find(shingle); holder != holders.end())
        for (const std::uint32_t other : holder->second)
          if (common[other]++ == 0) touched.push_back(other);
    double most = 0;
    for (const std::uint32_t other : touched) {
      most = std::max(most, common[other] / static_cast<double>(shingles.size() + sizes[other] - common[other]));
      common[other] = 0;
    }
    const bool dropped = index.add(signatures.signature(documents[document])).has_value();
    const auto bucket = static_cast<std::size_t>(most * kBuckets);
    ++pairs[bucket];
    found[bucket] += dropped;
    expected[bucket] += near_duplicate_probability(settings, most);
    if (!dropped)
      for (const std::uint64_t shingle : shingles) holders[shingle].push_back(static_cast<std::uint32_t>(document));
  }
  fmt::print("\n{:<34} {:>10} {:>10} {:>12}\n", "similarity to a kept document", "documents", "dropped", "by formula");
  for (std::size_t bucket = 8; bucket <= kBuckets; ++bucket)
    fmt::print("{:<34} {:>10} {:>10} {:>12.1f}\n", bucket == kBuckets ? "1" : fmt::format("{:.2f} ..", bucket / 20.0),
               pairs[bucket], found[bucket], expected[bucket]);
  std::int64_t below = 0;
  for (std::size_t bucket = 0; bucket < 8; ++bucket) below += found[bucket];
  fmt::print("{:<34} {:>10} {:>10}\n", "below 0.40", "", below);
}

}  // namespace
}  // namespace stoa::trainer

int main(int argc, char** argv) {
  const std::vector<std::string> files(argv + 1, argv + argc);
  const stoa::trainer::TextDocuments text(files, "<|endoftext|>");
  double bytes = 0;
  for (const std::string_view document : text.documents()) bytes += static_cast<double>(document.size());
  stoa::trainer::speed(text.documents(), bytes / 1e6);
  stoa::trainer::accuracy(text.documents());
}
