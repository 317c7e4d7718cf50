/// export_bench [MIB] [ROUNDS]: how fast a checkpoint becomes safetensors, against raw writes of the same bytes in the
/// same folder (TMPDIR) with fsync, and against a plain copy of the checkpoint's file, which reads from the same disk
/// too. Why: a model that takes hours to hand over is not handed over. Rounds alternate, so that a change of the disk's
/// mood shows in both; medians and their ratio are printed, and the most memory an export took.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/checkpoint/shard_output.h"
#include "stoa/checkpoint/streamed_checkpoint.h"
#include "stoa/tests/unit/checkpoint/small_model.h"
#include "stoa/trainer/interchange/weights_out.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {
namespace {

namespace fs = std::filesystem;
using checkpoint::FloatType;

constexpr double kMiB = 1 << 20;

/// A model of about that size; gpt2's products are transposed on their way.
ModelSettings model_of(ModelFamily family, std::int64_t mebibytes) {
  ModelSettings model{.family = family, .width = 1536, .heads = 12, .vocabulary_size = 32'003, .context_length = 1024};
  for (model.layers = 1; parameter_count(resolved(model)) * 4 < mebibytes << 20; ++model.layers) continue;
  return resolved(model);
}

/// Values that no file system can squeeze.
void fill(std::span<float> values, std::uint64_t state) {
  for (float& value : values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    value = float(state >> 40) * 0x1p-24F - 0.5F;
  }
}

/// Rows of at most 32 MiB.
void save(const ModelSettings& model, const fs::path& directory, Log& log) {
  std::vector<checkpoint::PieceToProduce> pieces;
  for (const Parameter& parameter : make_parameter_table(model).parameters) {
    const checkpoint::GlobalTensor tensor{"parameters/" + parameter.name, checkpoint::DType::kFloat32, parameter.shape};
    parallel::Box box = parallel::whole_box(parameter.shape);
    const std::int64_t rows = std::max<std::int64_t>(1, (8 << 20) / (box.elements() / parameter.shape[0]));
    for (std::int64_t begin = 0; begin < parameter.shape[0]; begin += rows) {
      box.begin[0] = begin;
      box.size[0] = std::min(rows, parameter.shape[0] - begin);
      checkpoint::PieceToProduce& piece = pieces.emplace_back();
      piece.tensor = tensor;
      piece.box = box;
      piece.values = [begin](std::span<float> into) { fill(into, std::uint64_t(begin + 1)); };
    }
  }
  checkpoint::write_streamed_checkpoint(directory, {0, Json::object()}, pieces, log);
}

double raw_seconds(const fs::path& file, std::int64_t bytes, const Clock& clock) {
  const auto chunk = checkpoint::ShardOutput::make_block();
  std::fill_n(chunk.get(), checkpoint::kTransferBytes, std::byte{0x5a});
  const double begin_s = clock.monotonic_s();
  open_file(file, O_WRONLY | O_CREAT | O_EXCL);
  checkpoint::ShardOutput output(file);
  for (std::int64_t at = 0; at < bytes; at += checkpoint::kTransferBytes)
    output.write_at(at, {chunk.get(), std::size_t(std::min(checkpoint::kTransferBytes, bytes - at))});
  output.sync();
  const double seconds = clock.monotonic_s() - begin_s;
  fs::remove(file);
  return seconds;
}

double export_seconds(const fs::path& step, const ModelSettings& model, FloatType dtype, const fs::path& out,
                      const Clock& clock) {
  fs::create_directories(out);
  const double begin_s = clock.monotonic_s();
  checkpoint::CheckpointReader reader(step);
  write_weights(reader, model, {.folder = out, .dtype = dtype});
  const double seconds = clock.monotonic_s() - begin_s;
  fs::remove_all(out);
  return seconds;
}

/// Through the page cache, where it then stands: a checkpoint that something has just read.
void warm(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> chunk(1 << 22);
  while (stream.read(chunk.data(), std::ssize(chunk))) continue;
}

/// Direct reads and writes by turns, one thread.
double copy_seconds(const fs::path& from, const fs::path& to, const Clock& clock) {
  const auto bytes = static_cast<std::int64_t>(fs::file_size(from));
  const auto chunk = checkpoint::ShardOutput::make_block();
  const double begin_s = clock.monotonic_s();
  const FileDescriptor input = open_file(from, O_RDONLY | O_DIRECT);
  open_file(to, O_WRONLY | O_CREAT | O_EXCL);
  checkpoint::ShardOutput output(to);
  for (std::int64_t at = 0; at < bytes; at += checkpoint::kTransferBytes) {
    const ssize_t got = ::pread(input.get(), chunk.get(), std::size_t(checkpoint::kTransferBytes), at);
    if (got <= 0) throw StorageError("{}: read failed", from.string());
    output.write_at(at, {chunk.get(), std::size_t(got)});
  }
  output.sync();
  const double seconds = clock.monotonic_s() - begin_s;
  fs::remove(to);
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double peak_mebibytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

enum class Cache { kCold, kWarm };

void compare(const char* name, const ModelSettings& model, FloatType dtype, const fs::path& folder, int rounds,
             Cache cache) {
  const SystemClock clock;
  const fs::path shard = folder / "step-00000000" / "shard-00000-of-00001.h5";
  const std::int64_t bytes = parameter_count(model) * checkpoint::float_type_bytes(dtype);
  std::vector<double> raw, copies, ours;
  std::ofstream("/proc/self/clear_refs") << 5;
  for (int round = 0; round < rounds; ++round) {
    raw.push_back(raw_seconds(folder / "raw", bytes, clock));
    copies.push_back(copy_seconds(shard, folder / "copy", clock));
    if (cache == Cache::kWarm) warm(shard);
    ours.push_back(export_seconds(folder / "step-00000000", model, dtype, folder / "out", clock));
  }
  const double mebibytes = double(bytes) / kMiB;
  const double copied = double(fs::file_size(shard)) / kMiB;
  fmt::print("{:<32}{:>6.0f} MiB{:>8.0f} MiB/s{:>8.0f} MiB/s{:>8.0f} MiB/s{:>7.0f} %{:>7.0f} MiB\n", name, mebibytes,
             mebibytes / median(raw), copied / median(copies), mebibytes / median(ours),
             100 * median(raw) / median(ours), peak_mebibytes());
}

int run(std::int64_t mebibytes, int rounds) {
  Log log(stderr, "bench", LogLevel::kWarning);
  fmt::print("{:<32}{:>10}{:>14}{:>14}{:>14}{:>9}{:>11}\n", "export", "size", "raw write", "raw copy", "export",
             "of raw", "peak");
  for (const ModelFamily family : {ModelFamily::kLlama, ModelFamily::kGpt2}) {
    const checkpoint::TemporaryFolder folder;
    const ModelSettings model = model_of(family, mebibytes);
    save(model, folder.path(), log);
    const char* name = family == ModelFamily::kGpt2 ? "gpt2, transposed" : "llama";
    for (const FloatType dtype : {FloatType::kF32, FloatType::kBf16})
      for (const Cache cache : {Cache::kCold, Cache::kWarm})
        compare(fmt::format("{}, {}{}", name, dtype == FloatType::kF32 ? "fp32" : "bf16",
                            cache == Cache::kWarm ? ", cached" : "")
                    .c_str(),
                model, dtype, folder.path(), rounds, cache);
  }
  return 0;
}

}  // namespace
}  // namespace stoa::trainer

int main(int count, char** words) {
  return stoa::trainer::run(count > 1 ? std::atoll(words[1]) : 1024, count > 2 ? std::atoi(words[2]) : 5);
}
