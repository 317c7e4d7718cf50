#include "stoa/trainer/data/dataset_reshape.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_files.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/indexed_dataset_index.h"
#include "stoa/trainer/data/prepare_encoding.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kCopiedAtOnce = std::int64_t{1} << 20;  // tokens

/// A data set to copy from.
struct Source {
  Source(const std::filesystem::path& prefix, int threads) : index(prefix), dataset(prefix) {
    if (index.has_modes())
      throw DataError("{}: it has modes (a multimodal data set), which are not copied",
                      indexed::index_path(prefix).string());
    verify_checksums(prefix, threads);
  }
  DatasetIndex index;
  IndexedDataset dataset;
};

void copy_tokens(const IndexedDataset& from, std::int64_t begin, std::int64_t end, int type, NewDataset& to,
                 ProgressLines& progress) {
  std::vector<std::int32_t> tokens;
  std::vector<std::byte> bytes;
  for (std::int64_t at = begin; at < end; at += kCopiedAtOnce) {
    const std::int64_t count = std::min(kCopiedAtOnce, end - at);
    const std::int64_t width = indexed::token_bytes(from.type());
    if (type == from.type()) {
      to.append(
          from.token_bytes().subspan(static_cast<std::size_t>(at * width), static_cast<std::size_t>(count * width)));
    } else {
      tokens.resize(static_cast<std::size_t>(count));
      from.read(at, tokens);
      if (type == indexed::kUint16)
        indexed::store_as<std::uint16_t>(tokens, bytes);
      else if (type == indexed::kInt32)
        indexed::store_as<std::int32_t>(tokens, bytes);
      else
        indexed::store_as<std::int64_t>(tokens, bytes);
      to.append(bytes);
    }
    progress.line("copying {}: {} of {} tokens", from.prefix().string(), format_grouped(at + count - begin),
                  format_grouped(end - begin));
  }
}

bool holds(int type, int other) {
  const auto is_one_of = [&](std::initializer_list<int> types) {
    return std::find(types.begin(), types.end(), other) != types.end();
  };
  if (type == indexed::kUint16) return is_one_of({1, 8});
  if (type == indexed::kInt32) return is_one_of({1, 2, 3, 4, 8});
  return true;
}

int common_type(const std::deque<Source>& sources) {
  const int first = sources.front().index.type();
  const auto all = [&](const auto& is) {
    return std::all_of(sources.begin(), sources.end(), [&](const Source& source) { return is(source.index.type()); });
  };
  if (all([&](int type) { return type == first; })) return first;
  for (const int wider : {indexed::kUint16, indexed::kInt32})
    if (all([&](int type) { return holds(wider, type); })) return wider;
  return indexed::kInt64;
}

/// The element of `sources` that holds element `number` of all, asked for in ascending order mostly.
class Walk {
 public:
  explicit Walk(std::vector<std::int64_t> begins) : begins_(std::move(begins)) {}
  std::size_t source_of(std::int64_t number) {
    if (number < begins_[at_]) at_ = 0;
    while (at_ + 2 < begins_.size() && number >= begins_[at_ + 1]) ++at_;
    return at_;
  }
  std::int64_t begin(std::size_t source) const { return begins_[source]; }
  std::int64_t all() const { return begins_.back(); }

 private:
  std::vector<std::int64_t> begins_;  // and the end
  std::size_t at_ = 0;
};

template <typename Count>
Walk walk_over(const std::deque<Source>& sources, Count count) {
  std::vector<std::int64_t> begins = {0};
  for (const Source& source : sources) begins.push_back(begins.back() + count(source.index));
  return Walk(begins);
}

}  // namespace

ReshapedDataset merge_datasets(std::span<const std::filesystem::path> inputs, const std::filesystem::path& out,
                               int threads, Log& log) {
  const SystemClock clock;
  ProgressLines progress(log, clock);
  std::deque<Source> sources;
  for (const std::filesystem::path& input : inputs) sources.emplace_back(input, threads);
  const int type = common_type(sources);
  NewDataset dataset(out);
  std::int64_t tokens = 0;
  for (const Source& source : sources) {
    copy_tokens(source.dataset, 0, source.dataset.tokens(), type, dataset, progress);
    tokens += source.dataset.tokens();
  }
  Walk sequences = walk_over(sources, [](const DatasetIndex& index) { return index.sequences(); });
  Walk documents = walk_over(sources, [](const DatasetIndex& index) { return index.documents(); });
  dataset.publish({type, sequences.all(), documents.all(),
                   [&](std::int64_t sequence) {
                     const std::size_t source = sequences.source_of(sequence);
                     return sources[source].index.sequence_size(sequence - sequences.begin(source));
                   },
                   [&](std::int64_t document) {
                     const std::size_t source = documents.source_of(document);
                     return sequences.begin(source) +
                            sources[source].index.first_sequence(document - documents.begin(source));
                   }});
  return {out, type, documents.all(), sequences.all(), tokens};
}

std::vector<std::int64_t> cuts_by_tokens(std::span<const std::int64_t> document_begins,
                                         std::span<const double> shares) {
  double sum = 0, before = 0;
  for (const double share : shares) sum += share;
  std::vector<std::int64_t> cuts = {0};
  for (const double share : shares) {
    before += share;
    const double target = before / sum * static_cast<double>(document_begins.back());
    auto at = std::lower_bound(document_begins.begin(), document_begins.end(), target,
                               [](std::int64_t begin, double wanted) { return static_cast<double>(begin) < wanted; });
    if (at == document_begins.end()) --at;
    if (at != document_begins.begin() && target - static_cast<double>(at[-1]) < static_cast<double>(*at) - target) --at;
    cuts.push_back(at - document_begins.begin());
  }
  cuts.back() = static_cast<std::int64_t>(document_begins.size()) - 1;
  for (std::size_t part = 1; part < cuts.size(); ++part)
    if (cuts[part] <= cuts[part - 1])
      throw UsageError("{} documents cannot be cut into these {} parts: part {} would have none",
                       document_begins.size() - 1, shares.size(), part - 1);
  return cuts;
}

std::vector<std::int64_t> cuts_by_documents(std::int64_t documents, std::int64_t each) {
  std::vector<std::int64_t> cuts;
  for (std::int64_t document = 0; document < documents; document += each) cuts.push_back(document);
  cuts.push_back(documents);
  return cuts;
}

std::vector<std::filesystem::path> names_of_parts(const std::filesystem::path& out, std::size_t parts) {
  std::vector<std::filesystem::path> names;
  for (std::size_t part = 0; part < parts; ++part)
    names.emplace_back(fmt::format("{}-{:05}-of-{:05}", out.string(), part, parts));
  return names;
}

std::vector<ReshapedDataset> split_dataset(const std::filesystem::path& input, const std::filesystem::path& out,
                                           std::span<const std::int64_t> cuts, int threads, Log& log) {
  const SystemClock clock;
  ProgressLines progress(log, clock);
  const Source source(input, threads);
  const std::vector<std::filesystem::path> names = names_of_parts(out, cuts.size() - 1);
  std::vector<ReshapedDataset> made;
  for (std::size_t part = 0; part + 1 < cuts.size(); ++part) {
    const std::int64_t first = cuts[part], end = cuts[part + 1];
    const std::int64_t first_sequence = source.index.first_sequence(first);
    const std::int64_t sequences = source.index.first_sequence(end) - first_sequence;
    const std::int64_t from = source.dataset.document_begin(first), to = source.dataset.document_begin(end);
    NewDataset dataset(names[part]);
    copy_tokens(source.dataset, from, to, source.index.type(), dataset, progress);
    dataset.publish(
        {source.index.type(), sequences, end - first,
         [&](std::int64_t sequence) { return source.index.sequence_size(first_sequence + sequence); },
         [&](std::int64_t document) { return source.index.first_sequence(first + document) - first_sequence; }});
    made.push_back({names[part], source.index.type(), end - first, sequences, to - from});
  }
  return made;
}

}  // namespace stoa::trainer
