#include "stoa/trainer/data/dataset_stats.h"

#include <algorithm>
#include <bit>

#include "stoa/base/checksum.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/ordered_work.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kCountedIds = std::int64_t{1} << 22;
constexpr std::int64_t kTokensAtOnce = std::int64_t{1} << 18;

/// Whole documents of about kTokensAtOnce tokens; one that is larger is read in parts.
struct Part {
  std::int64_t first = 0;
  std::int64_t end = 0;
};

struct Counts {
  std::vector<std::int64_t> of_id;
  std::int64_t other = 0;
  std::int64_t ending = 0;
  std::vector<std::int32_t> tokens;

  void count(std::span<const std::int32_t> ids) {
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= kCountedIds) {
        ++other;
        continue;
      }
      if (static_cast<std::size_t>(id) >= of_id.size()) of_id.resize(std::bit_ceil(static_cast<std::size_t>(id) + 1));
      ++of_id[static_cast<std::size_t>(id)];
    }
  }

  void count_tokens(const IndexedDataset& dataset, const Part& part) {
    const std::int64_t end = dataset.document_begin(part.end);
    for (std::int64_t at = dataset.document_begin(part.first); at < end; at += kTokensAtOnce) {
      tokens.resize(static_cast<std::size_t>(std::min(kTokensAtOnce, end - at)));
      dataset.read(at, tokens);
      count(tokens);
    }
  }
};

void find_duplicates(const IndexedDataset& dataset, const std::vector<std::uint64_t>& hashes, DatasetStats& stats) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> sorted;
  sorted.reserve(hashes.size());
  for (std::size_t document = 0; document < hashes.size(); ++document)
    sorted.emplace_back(hashes[document], dataset.document_size(static_cast<std::int64_t>(document)));
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i] != sorted[i - 1]) continue;
    ++stats.duplicate_documents;
    stats.duplicate_tokens += sorted[i].second;
  }
}

void describe_lengths(const IndexedDataset& dataset, DatasetStats& stats) {
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(dataset.documents()));
  for (std::size_t document = 0; document < lengths.size(); ++document)
    lengths[document] = dataset.document_size(static_cast<std::int64_t>(document));
  if (lengths.empty()) return;
  std::sort(lengths.begin(), lengths.end());
  for (const double fraction : {0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0})
    stats.quantiles.push_back(
        {fraction, lengths[static_cast<std::size_t>(fraction * static_cast<double>(lengths.size() - 1) + 0.5)]});
  for (const std::int64_t length : lengths) {
    const int bits = std::bit_width(static_cast<std::uint64_t>(length));
    const std::int64_t least = bits == 0 ? 0 : std::int64_t{1} << (bits - 1);
    if (stats.lengths.empty() || stats.lengths.back().least != least)
      stats.lengths.push_back({least, bits == 0 ? 0 : 2 * least - 1, 0});
    ++stats.lengths.back().documents;
  }
}

void describe_tokens(const std::vector<std::int64_t>& of_id, std::size_t most_frequent, DatasetStats& stats) {
  std::vector<TokenCount> found;
  for (std::size_t id = 0; id < of_id.size(); ++id)
    if (of_id[id] > 0) found.push_back({static_cast<std::int64_t>(id), of_id[id]});
  stats.distinct_tokens = static_cast<std::int64_t>(found.size());
  const auto kept = found.begin() + static_cast<std::ptrdiff_t>(std::min(most_frequent, found.size()));
  std::partial_sort(found.begin(), kept, found.end(), [](const TokenCount& a, const TokenCount& b) {
    return a.count != b.count ? a.count > b.count : a.token < b.token;
  });
  stats.most_frequent.assign(found.begin(), kept);
}

}  // namespace

DatasetStats dataset_stats(const IndexedDataset& dataset, std::optional<std::int32_t> end_of_text,
                           std::size_t most_frequent, int threads) {
  DatasetStats stats{dataset.documents(), dataset.tokens()};
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(dataset.documents()));
  std::vector<Counts> counts(static_cast<std::size_t>(threads));
  std::int64_t next = 0;
  const std::int64_t width = indexed::token_bytes(dataset.type());
  work_in_order<Part>(
      threads,
      [&](Part& part) {
        part.first = next;
        while (next < dataset.documents() &&
               dataset.document_begin(next) - dataset.document_begin(part.first) < kTokensAtOnce)
          ++next;
        part.end = next;
        return part.first < part.end;
      },
      [&](int worker, const Part& part) {
        Counts& mine = counts[static_cast<std::size_t>(worker)];
        mine.count_tokens(dataset, part);
        for (std::int64_t document = part.first; document < part.end; ++document) {
          const std::int64_t size = dataset.document_size(document);
          hashes[static_cast<std::size_t>(document)] =
              xxh3_64(dataset.token_bytes().subspan(static_cast<std::size_t>(dataset.document_begin(document) * width),
                                                    static_cast<std::size_t>(size * width)));
          std::int32_t last = 0;
          if (!end_of_text || size == 0) continue;
          dataset.read(dataset.document_begin(document + 1) - 1, std::span(&last, 1));
          if (last == *end_of_text) ++mine.ending;
        }
      },
      [](const Part&) {});
  std::vector<std::int64_t> of_id;
  for (const Counts& part : counts) {
    of_id.resize(std::max(of_id.size(), part.of_id.size()));
    for (std::size_t id = 0; id < part.of_id.size(); ++id) of_id[id] += part.of_id[id];
    stats.other_tokens += part.other;
    stats.documents_ending_with_it += part.ending;
  }
  if (end_of_text && static_cast<std::size_t>(*end_of_text) < of_id.size())
    stats.end_of_text_tokens = of_id[static_cast<std::size_t>(*end_of_text)];
  describe_tokens(of_id, most_frequent, stats);
  describe_lengths(dataset, stats);
  find_duplicates(dataset, hashes, stats);
  return stats;
}

}  // namespace stoa::trainer
