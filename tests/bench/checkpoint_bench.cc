/// How fast checkpoints are saved, loaded and verified, against what the same bytes cost without any format. Why: a
/// save and a load stop work, so their speed sets how often a run can afford one; ratios of one run say what the format
/// costs on any disk.
///
///   checkpoint_bench [FOLDER [GIB [ROUNDS]]]      FOLDER is on the disk to measure (default: the temporary folder)
///
/// Two ranks (threads of this process) save GIB together, fsync included. Raw: two threads write or read as many bytes
/// in a file each, past the page cache in blocks of 16 MiB, with fsync. All take turns; each figure is the median.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/background_save.h"
#include "stoa/checkpoint/hdf5_global_view.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/save_plan.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/private_memory.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr int kRanks = 2;
constexpr double kDeadline_s = 600;
constexpr std::size_t kRawBlock = std::size_t{16} << 20;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double timed(const std::function<void()>& work) {
  const double begin_s = now_s();
  work();
  return now_s() - begin_s;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Matrices of 16 MiB, three states of each, as a model's.
std::vector<GlobalTensor> tensors_of(std::int64_t bytes) {
  std::vector<GlobalTensor> tensors;
  for (std::int64_t i = 0; i < bytes >> 24; ++i)
    tensors.push_back(
        {fmt::format("{}/layers.{}.weight", std::array{"parameters", "adam_m", "adam_v"}[std::size_t(i % 3)], i / 3),
         DType::kFloat32,
         {2048, 2048}});
  return tensors;
}

/// A rank's part of the tensors, whose memory is touched.
class Part {
 public:
  Part(const std::vector<GlobalTensor>& tensors, int rank, int ranks, Cut cut) {
    std::size_t floats = 0;
    for (const GlobalTensor& tensor : tensors) {
      const int dim = cut == Cut::kFirstDim ? 0 : 1;
      boxes_.push_back(parallel::shard_box(tensor.shape, {parallel::PlacementKind::kSharded, dim}, ranks, rank));
      floats += std::size_t(boxes_.back().elements());
    }
    memory_ = std::make_unique<parallel::PrivateMemory>(floats * sizeof(float), "bench");
    values_ = {reinterpret_cast<float*>(memory_->bytes().data()), floats};
    std::ranges::fill(values_, 1.25F + float(rank));
  }

  template <typename Piece>
  std::vector<Piece> pieces(const std::vector<GlobalTensor>& tensors) const {
    std::vector<Piece> made;
    for (std::size_t i = 0, at = 0; i < tensors.size(); at += std::size_t(boxes_[i++].elements()))
      made.push_back({tensors[i], boxes_[i], values_.subspan(at, std::size_t(boxes_[i].elements()))});
    return made;
  }
  std::span<std::byte> bytes() const { return std::as_writable_bytes(values_); }

 private:
  std::vector<parallel::Box> boxes_;
  std::unique_ptr<parallel::PrivateMemory> memory_;
  std::span<float> values_;
};

/// What rank 0 does with what many ranks tell: nothing is written.
void plan_large() {
  constexpr int kManyRanks = 4096, kManyTensors = 100'000;
  std::vector<std::string> texts;
  for (int rank = 0, tensor = 0; rank < kManyRanks; ++rank) {
    std::vector<PieceDescription> pieces;
    // The first and the last tensor of a rank are shared with its neighbours.
    for (const int stop = int(std::int64_t{kManyTensors} * (rank + 1) / kManyRanks); tensor < stop; ++tensor) {
      const GlobalTensor whole{
          fmt::format("parameters/layers.{}.attention.query.weight", tensor), DType::kFloat32, {4096, 4096}};
      if (tensor + 1 < stop || rank + 1 == kManyRanks) {
        pieces.push_back({whole, parallel::whole_box(whole.shape)});
        continue;
      }
      pieces.push_back({whole, {{0, 0}, {1000, 4096}}});
    }
    texts.push_back(describe_pieces(pieces));
  }
  // Tensors that end a rank are continued on the next.
  for (int rank = 1; rank < kManyRanks; ++rank) {
    const int tensor = int(std::int64_t{kManyTensors} * rank / kManyRanks) - 1;
    const GlobalTensor whole{
        fmt::format("parameters/layers.{}.attention.query.weight", tensor), DType::kFloat32, {4096, 4096}};
    const PieceDescription rest{whole, {{1000, 0}, {3096, 4096}}};
    const std::string more = describe_pieces({&rest, 1});
    std::string& text = texts[std::size_t(rank)];
    text = text.substr(0, text.size() - 1) + "," + more.substr(1);
  }
  const double begin_s = now_s();
  const SavePlan plan = make_save_plan(texts);
  Manifest manifest{.step = 1,
                    .attempt = "1",
                    .created = "2026-01-01T00:00:00Z",
                    .state = Json::object(),
                    .tensors = plan.tensors,
                    .shards = {}};
  for (int rank = 0; rank < kManyRanks; ++rank)
    manifest.shards.push_back({shard_file_name(rank, kManyRanks), 1 << 20, 4096, 1024, std::string(32, '0')});
  const std::string text = format_manifest(manifest);
  parse_manifest(text, "manifest");
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} tensors on {} ranks, {} pieces: plan and manifest {:.2f} s, {:.2f} GiB at most\n", kManyTensors,
             kManyRanks, plan.sources.size(), now_s() - begin_s, double(usage.ru_maxrss) / (1 << 20));
}

/// checkpoint.h5 of 1,000 tensors, 3 states and 64 shards, cut by rows.
void view_large(const fs::path& folder) {
  std::vector<PieceSource> sources;
  for (int tensor = 0; tensor < 1000; ++tensor)
    for (const char* state : {"parameters", "adam_m", "adam_v"})
      for (int shard = 0; shard < 64; ++shard) {
        const GlobalTensor whole{fmt::format("{}/layers.{}.weight", state, tensor), DType::kFloat32, {4096, 4096}};
        PieceSource& source = sources.emplace_back();
        source.piece = {whole, {{shard * 64, 0}, {64, 4096}}};
        source.file = shard_file_name(shard, 64);
      }
  const SavePlan plan = make_save_plan(std::move(sources));
  const double seconds = timed([&] { write_global_view(folder / "checkpoint.h5", plan.tensors, plan.sources); });
  fmt::print("checkpoint.h5 of {} mappings: {:.2f} s\n", plan.sources.size(), seconds);
}

class Bench {
 public:
  Bench(const fs::path& folder, std::int64_t bytes, int rounds)
      : folder_(folder), bytes_(bytes), rounds_(rounds), tensors_(tensors_of(bytes)) {
    for (int rank = 0; rank < kRanks; ++rank) parts_.emplace_back(tensors_, rank, kRanks, Cut::kFirstDim);
  }

  void run() {
    std::vector<double> save, raw_write, load_one, load_three, load_columns, raw_read, verify, hash;
    for (int round = 0; round < rounds_; ++round) {
      raw_write.push_back(timed([&] { write_raw(); }));
      save.push_back(timed([&] { save_step(round + 1); }));
      raw_read.push_back(timed_cold([&] { read_raw(); }));
      load_one.push_back(timed_load(1, Cut::kFirstDim));
      raw_read.push_back(timed_cold([&] { read_raw(); }));
      load_three.push_back(timed_load(3, Cut::kFirstDim));
      raw_read.push_back(timed_cold([&] { read_raw(); }));
      load_columns.push_back(timed_load(2, Cut::kLastDim));
      read_all(round + 1);  // into the page cache
      verify.push_back(timed([&] { verify_checkpoint(folder_ / fmt::format("step-{:08}", round + 1)); }));
      hash.push_back(timed([&] { hash_chunks(); }));
    }
    fmt::print("{} ranks, {:.2f} GiB, {} rounds, medians\n", kRanks, double(bytes_) / (std::int64_t{1} << 30), rounds_);
    line("save, fsync included", save, raw_write, "raw writes");
    line("load, one rank", load_one, raw_read, "raw reads");
    line("load, three ranks", load_three, raw_read, "raw reads");
    line("load, two ranks, columns", load_columns, raw_read, "raw reads");
    line("verify, one thread", verify, hash, "XXH3 over memory, one thread");
  }

 private:
  void line(const char* what, std::vector<double>& values_s, std::vector<double>& peers_s, const char* peer) const {
    const double seconds = median(values_s), peer_s = median(peers_s);
    fmt::print("  {:<26} {:6.3f} s {:6.2f} GB/s  {:4.0f} % of {} ({:.2f} GB/s)\n", what, seconds,
               double(bytes_) / seconds / 1e9, 100 * peer_s / seconds, peer, double(bytes_) / peer_s / 1e9);
  }

  /// With nothing of the folder in the page cache.
  double timed_cold(const std::function<void()>& work) const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (!entry.is_regular_file()) continue;
      const FileDescriptor file = open_file(entry.path(), O_RDONLY);
      if (::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) != 0) throw InternalError("nothing was dropped");
    }
    return timed(work);
  }

  fs::path raw(std::size_t thread) const { return folder_ / fmt::format("raw-{}", thread); }

  void on_threads(const std::function<void(std::size_t)>& work) const {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kRanks; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }

  void write_raw() {
    on_threads([&](std::size_t i) {
      fs::remove(raw(i));
      const FileDescriptor file = open_file(raw(i), O_WRONLY | O_CREAT | O_DIRECT);
      for (auto rest = parts_[i].bytes(); !rest.empty(); rest = rest.subspan(std::min(kRawBlock, rest.size())))
        write_all(file.get(), rest.first(std::min(kRawBlock, rest.size())), raw(i));
      sync_file(file.get(), raw(i));
    });
    sync_directory(folder_);
  }

  void read_raw() {
    on_threads([&](std::size_t i) {
      const FileDescriptor file = open_file(raw(i), O_RDONLY | O_DIRECT);
      for (auto rest = parts_[i].bytes(); !rest.empty();) {
        const ssize_t got = ::read(file.get(), rest.data(), std::min(kRawBlock, rest.size()));
        if (got <= 0) throw StorageError("{}: read failed: {}", raw(i).string(), errno_message(errno));
        rest = rest.subspan(std::size_t(got));
      }
    });
  }

  void save_step(std::int64_t step) {
    parallel::run_thread_ranks(kRanks, kDeadline_s, [&](parallel::Communicator& ranks) {
      CheckpointStore store(folder_, "1", log_);
      const auto pieces = parts_[std::size_t(ranks.rank())].pieces<PieceToSave>(tensors_);
      store.save({step, Json::object()}, pieces, ranks, {1});
    });
  }

  void read_all(std::int64_t step) {
    for (int rank = 0; rank < kRanks; ++rank) {
      const fs::path path = folder_ / fmt::format("step-{:08}", step) / shard_file_name(rank, kRanks);
      const FileDescriptor file = open_file(path, O_RDONLY);
      std::vector<std::byte> block(kRawBlock);
      while (::read(file.get(), block.data(), block.size()) > 0) continue;
    }
  }

  double timed_load(int count, Cut cut) {
    std::vector<std::unique_ptr<Part>> parts;
    for (int rank = 0; rank < count; ++rank) parts.push_back(std::make_unique<Part>(tensors_, rank, count, cut));
    return timed_cold([&] {
      parallel::run_thread_ranks(count, kDeadline_s, [&](parallel::Communicator& ranks) {
        CheckpointStore store(folder_, "1", log_);
        const auto pieces = parts[std::size_t(ranks.rank())]->pieces<PieceToLoad>(tensors_);
        if (!store.load_newest(pieces, ranks)) throw InternalError("nothing was loaded");
      });
    });
  }

  void hash_chunks() {
    std::uint64_t all = 0;
    for (const Part& part : parts_)
      for (auto rest = part.bytes(); !rest.empty();
           rest = rest.subspan(std::min<std::size_t>(kTransferBytes, rest.size())))
        all ^= xxh3_64(rest.first(std::min<std::size_t>(kTransferBytes, rest.size())));
    if (all == 1) fmt::print("\n");
  }

  fs::path folder_;
  std::int64_t bytes_;
  int rounds_;
  std::vector<GlobalTensor> tensors_;
  std::vector<Part> parts_;
  Log log_{stderr, "bench", LogLevel::kError};
};

}  // namespace
}  // namespace stoa::checkpoint

int main(int count, char** arguments) {
  using namespace stoa::checkpoint;
  if (count > 1) ::setenv("TMPDIR", arguments[1], 1);
  const double gib = count > 2 ? std::atof(arguments[2]) : 2;
  const int rounds = count > 3 ? std::atoi(arguments[3]) : 5;
  if (gib <= 0 || rounds < 1) {
    fmt::print(stderr, "usage: checkpoint_bench [FOLDER [GIB [ROUNDS]]]\n");
    return 2;
  }
  const TemporaryFolder folder;
  plan_large();
  view_large(folder.path());
  Bench(folder.path(), std::int64_t(gib * double(std::int64_t{1} << 30)), rounds).run();
}
