#include "stoa/checkpoint/verify.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_loading.h"
#include "stoa/checkpoint/shard_reader.h"
#include "stoa/checkpoint/view_file.h"

namespace stoa::checkpoint {
namespace {

struct Part {
  std::size_t shard = 0, piece = 0;
  std::int64_t bytes = 0;
};

/// The pieces of one checkpoint, which threads take one after the other.
class Verification {
 public:
  Verification(std::filesystem::path folder, const Manifest& manifest)
      : folder_(std::move(folder)), manifest_(manifest) {
    std::vector<PieceDescription> stored;
    for (std::size_t i = 0; i < manifest.shards.size(); ++i)
      note([&] {
        const ShardReader shard(folder_, manifest.shards[i]);
        note([&] { shard.check_rest(); });
        for (std::size_t piece = 0; piece < shard.pieces().size(); ++piece) {
          parts_.push_back({i, piece, shard.pieces()[piece].bytes});
          stored.push_back({shard.pieces()[piece].tensor, shard.pieces()[piece].box});
        }
      });
    // With a shard that cannot be read there is a gap, and nothing more to say.
    if (defects_.empty()) note([&] { check_tiling(folder_, manifest_, stored); });
    for (const Part& part : parts_) bytes_ += part.bytes;
  }

  std::int64_t bytes() const { return bytes_; }
  std::int64_t done_bytes() const { return done_bytes_.load(); }
  std::vector<std::string>& defects() { return defects_; }

  /// By any number of threads, until nothing is left.
  void work(const std::function<void()>& after_each) {
    std::optional<ShardReader> open;
    std::size_t opened = 0;
    for (std::size_t next = next_++; next < parts_.size(); next = next_++) {
      const Part& part = parts_[next];
      note([&] {
        if (!open || opened != part.shard) open.emplace(folder_, manifest_.shards[part.shard]);
        opened = part.shard;
        open->verify(part.piece);
      });
      done_bytes_ += part.bytes;
      after_each();
    }
  }

  void note(const std::function<void()>& work) {
    try {
      work();
    } catch (const std::exception& failure) {
      const std::lock_guard lock(mutex_);
      defects_.emplace_back(failure.what());
    }
  }

 private:
  std::filesystem::path folder_;
  const Manifest& manifest_;
  std::vector<Part> parts_;
  std::int64_t bytes_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::int64_t> done_bytes_{0};
  std::mutex mutex_;
  std::vector<std::string> defects_;
};

}  // namespace

Manifest verify_checkpoint(const std::filesystem::path& folder) {
  Manifest manifest = read_manifest(folder);
  load_pieces(folder, manifest, {});
  for (const ShardRecord& record : manifest.shards) {
    ShardReader shard(folder, record);
    shard.check_rest();
    for (std::size_t i = 0; i < shard.pieces().size(); ++i) shard.verify(i);
  }
  return manifest;
}

VerifyReport verify_all(const std::filesystem::path& folder, int threads,
                        const std::function<void(std::int64_t done, std::int64_t of)>& progress) {
  const Manifest manifest = read_manifest(folder);
  Verification verification(folder, manifest);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&] { verification.work([] {}); });
  verification.work([&] { progress(verification.done_bytes(), verification.bytes()); });
  for (std::thread& other : others) other.join();
  VerifyReport report{.tensors = static_cast<std::int64_t>(manifest.tensors.size()),
                      .bytes = verification.done_bytes(),
                      .defects = std::move(verification.defects())};
  if (std::string defect = view_defect(folder); !defect.empty())
    report.defects.push_back(defect + "; Stoa does not load it, and `stoa checkpoint index` writes it anew");
  std::ranges::sort(report.defects);
  return report;
}

}  // namespace stoa::checkpoint
