#include "stoa/checkpoint/piece_loading.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/checkpoint/box_copy.h"
#include "stoa/checkpoint/chunk_stream.h"
#include "stoa/checkpoint/piece_norms.h"
#include "stoa/checkpoint/shard_reader.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kElementBytes = sizeof(float);

/// A piece that is asked for, and the sum of squares of what it has got so far.
struct WantedPiece {
  const PieceToLoad& piece;
  double squares = 0;
};
using WantedByTensor = std::multimap<std::string_view, WantedPiece*>;

/// What a stored piece gives to a wanted one, in ascending order of the stored bytes.
class Share {
 public:
  Share(const StoredPiece& stored, WantedPiece& wanted, const parallel::Box& shared)
      : wanted_(wanted),
        shared_(shared),
        walk_(shared_, stored.box, wanted.piece.box),
        begin_(walk_.run().from * kElementBytes) {
    std::int64_t last = 0;
    for (std::size_t d = 0; d < shared.begin.size(); ++d)
      last = last * stored.box.size[d] + shared.begin[d] + shared.size[d] - 1 - stored.box.begin[d];
    end_ = (last + 1) * kElementBytes;
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  /// The stored bytes [begin, end) hold all of it.
  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }

  /// `bytes` are the stored ones from `at` on; called with ascending parts that together hold all of it.
  void take(std::int64_t at, std::span<const std::byte> bytes) {
    const std::int64_t stop = at + static_cast<std::int64_t>(bytes.size());
    for (; !walk_.done(); walk_.next(), copied_ = 0) {
      const Run run = walk_.run();
      const std::int64_t from = run.from * kElementBytes + copied_;
      const std::int64_t size = std::min(run.count * kElementBytes - copied_, stop - from);
      if (size <= 0) return;
      const auto into = wanted_.piece.values.subspan(static_cast<std::size_t>(run.to + copied_ / kElementBytes),
                                                     static_cast<std::size_t>(size / kElementBytes));
      std::memcpy(into.data(), bytes.data() + (from - at), static_cast<std::size_t>(size));
      wanted_.squares += sum_of_squares(into);
      copied_ += size;
      if (copied_ < run.count * kElementBytes) return;
    }
  }

 private:
  WantedPiece& wanted_;
  parallel::Box shared_;
  RunWalk walk_;
  std::int64_t begin_, end_ = 0;
  std::int64_t copied_ = 0;  ///< bytes of the run at hand
};

/// A stored piece of which something is wanted.
struct Source {
  std::size_t piece = 0;
  std::deque<Share> shares;
  std::vector<ChunkRange> ranges;  ///< ascending
};

std::vector<ChunkRange> ranges_of_shares(const StoredPiece& stored, const std::deque<Share>& shares) {
  std::vector<bool> needed(static_cast<std::size_t>(chunks_of(stored.bytes, stored.chunk_bytes)));
  for (const Share& share : shares)
    for (std::int64_t number = share.begin() / stored.chunk_bytes; number * stored.chunk_bytes < share.end(); ++number)
      needed[static_cast<std::size_t>(number)] = true;
  std::vector<ChunkRange> ranges;
  for (std::int64_t number = 0; number < static_cast<std::int64_t>(needed.size()); ++number) {
    if (!needed[static_cast<std::size_t>(number)]) continue;
    const bool joins = !ranges.empty() && ranges.back().first + ranges.back().count == number &&
                       (ranges.back().count + 1) * stored.chunk_bytes <= kTransferBytes;
    if (joins)
      ++ranges.back().count;
    else
      ranges.push_back({number, 1});
  }
  return ranges;
}

std::deque<Source> sources_of(const ShardReader& shard, const WantedByTensor& by_tensor) {
  std::deque<Source> sources;
  for (std::size_t i = 0; i < shard.pieces().size(); ++i) {
    const StoredPiece& stored = shard.pieces()[i];
    const auto [first, last] = by_tensor.equal_range(stored.tensor.name);
    Source source{.piece = i, .shares = {}, .ranges = {}};
    for (auto wanted = first; wanted != last; ++wanted) {
      const PieceToLoad& piece = wanted->second->piece;
      if (piece.tensor.shape != stored.tensor.shape) continue;
      const auto shared = parallel::intersect(stored.box, piece.box);
      if (shared && shared->elements() > 0) source.shares.emplace_back(stored, *wanted->second, *shared);
    }
    if (source.shares.empty()) continue;
    source.ranges = ranges_of_shares(stored, source.shares);
    sources.push_back(std::move(source));
  }
  return sources;
}

void load_shard(const ShardReader& shard, const WantedByTensor& by_tensor) {
  std::deque<Source> sources = sources_of(shard, by_tensor);
  std::vector<ChunkPlace> places;
  for (const Source& source : sources)
    for (const ChunkRange& range : source.ranges) places.push_back(place_of(shard.pieces()[source.piece], range));
  if (places.empty()) return;
  ChunkStream stream(shard.path(), shard.bytes(), std::move(places));
  for (Source& source : sources)
    for (const ChunkRange& range : source.ranges) {
      const auto bytes = stream.next();
      shard.check(source.piece, range, bytes);
      for (Share& share : source.shares) share.take(range.first * shard.pieces()[source.piece].chunk_bytes, bytes);
    }
}

}  // namespace

void check_tiling(const std::filesystem::path& folder, const Manifest& manifest,
                  std::span<const PieceDescription> stored) {
  const Tiling tiling = tile(stored);
  if (!tiling.defect.empty()) throw CheckpointError("{}: {}", folder.string(), tiling.defect);
  const auto same = [](const GlobalTensor& a, const GlobalTensor& b) { return a.name == b.name && a.shape == b.shape; };
  if (!std::equal(tiling.tensors.begin(), tiling.tensors.end(), manifest.tensors.begin(), manifest.tensors.end(), same))
    throw CheckpointError("{}: the shards hold other tensors than the manifest lists", folder.string());
}

std::vector<double> load_pieces(const std::filesystem::path& folder, const Manifest& manifest,
                                std::span<const PieceToLoad> pieces) {
  std::deque<WantedPiece> wanted;
  WantedByTensor by_tensor;
  for (const PieceToLoad& piece : pieces) {
    wanted.push_back({piece, 0});
    by_tensor.emplace(piece.tensor.name, &wanted.back());
  }
  std::vector<PieceDescription> stored;
  for (const ShardRecord& record : manifest.shards) {
    const ShardReader shard(folder, record);
    for (const StoredPiece& piece : shard.pieces()) stored.push_back({piece.tensor, piece.box});
    load_shard(shard, by_tensor);
  }
  check_tiling(folder, manifest, stored);
  std::vector<double> squares;
  for (const WantedPiece& piece : wanted) squares.push_back(piece.squares);
  return squares;
}

}  // namespace stoa::checkpoint
