/// Sampling from a 20-way mixture of 10^9 samples: microseconds a sample, seconds to open, memory held.
///
///   mixture_bench [DOCUMENTS_PER_SOURCE] [FOLDER]
///
/// The indexes are real (20 bytes a document); the tokens are holes of sparse files, so that terabytes fit on any disk:
/// what is measured is finding a sample and copying it, not the disk. The peer is what Megatron-Core builds before its
/// first sample: a table of 10 bytes a sample for the mixture (dataset_index int16, dataset_sample_index int64) and 12
/// for the sources (sample_index 2 x int32, shuffle_index uint32).
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/training_data.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kSources = 20;
constexpr std::int64_t kSamples = 1'000'000'000;
constexpr std::int64_t kContext = 1024;
constexpr int kReads = 4096;
constexpr int kLookups = 1'000'000;

double processor_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + 1e-6 * double(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double wall_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// "RssAnon" or "VmRSS" of this process in MiB.
double memory_mib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) / 1024;
  return 0;
}

template <typename T>
void put(std::ofstream& file, T value) {
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

void write_source(const std::filesystem::path& prefix, std::int64_t documents, std::int64_t document_tokens) {
  std::ofstream file(indexed::index_path(prefix), std::ios::binary);
  file.write(indexed::kMagic.data(), std::ssize(indexed::kMagic));
  put<std::uint64_t>(file, indexed::kVersion);
  put<std::uint8_t>(file, indexed::kUint16);
  put<std::uint64_t>(file, std::uint64_t(documents));
  put<std::uint64_t>(file, std::uint64_t(documents) + 1);
  for (std::int64_t d = 0; d < documents; ++d) put<std::int32_t>(file, std::int32_t(document_tokens));
  for (std::int64_t d = 0; d < documents; ++d) put<std::int64_t>(file, 2 * d * document_tokens);
  for (std::int64_t d = 0; d <= documents; ++d) put<std::int64_t>(file, d);
  std::ofstream(indexed::tokens_path(prefix)).close();
  std::filesystem::resize_file(indexed::tokens_path(prefix), std::uintmax_t(2 * documents * document_tokens));
}

struct Times {
  double processor_us = 0;
  double median_us = 0;
};

template <typename Action>
Times measure(int count, const Action& action) {
  std::vector<double> times;
  const double begin_s = processor_s();
  for (int i = 0; i < count; ++i) {
    const double before_s = wall_s();
    action(i);
    times.push_back(1e6 * (wall_s() - before_s));
  }
  const double used_s = processor_s() - begin_s;
  std::nth_element(times.begin(), times.begin() + count / 2, times.end());
  return {1e6 * used_s / count, times[std::size_t(count) / 2]};
}

void run(std::int64_t documents, const std::filesystem::path& folder) {
  DataSettings settings;
  settings.held_out_fraction = 0.001;
  for (std::int64_t s = 0; s < kSources; ++s) {
    const std::string name = fmt::format("s{}", s);
    write_source(folder / name, documents, kSamples * kContext / kSources / documents + 1);
    settings.sources.push_back(
        {.name = name, .prefix = (folder / name).string(), .text = {}, .weight = 1.0 / double(s + 1), .max_epochs = 4});
  }
  const double memory_before = memory_mib("RssAnon");
  const double begin_s = processor_s();
  const TrainingData data(settings, kContext, {kSamples / 1024, 1024});
  const double open_s = processor_s() - begin_s;
  std::vector<std::int32_t> inputs(kContext), targets(kContext), begins(kContext);
  // Prime steps visit the mixture from end to end in no order that a cache could guess.
  const auto sample = [](int i) { return std::int64_t(std::uint64_t(i) * 618'033'989U % kSamples); };
  std::size_t sum = 0;
  const Times look_up = measure(kLookups, [&](int i) { sum += data.plan()->at(sample(i)).source; });
  const auto read = [&](int i) { data.train().read(sample(i), {inputs, targets, begins}); };
  const Times first = measure(kReads, read);
  const Times again = measure(kReads, read);
  fmt::print("{} sources, {} documents each, {} samples of {} tokens in an epoch of all; {} segments ({})\n", kSources,
             documents, kSamples, kContext, data.plan()->segments().size(), sum % 10);
  fmt::print("{:<44}{:>12}{:>12}\n", "", "CPU us", "median us");
  const auto row = [](const char* what, const Times& times) {
    fmt::print("{:<44}{:>12.2f}{:>12.2f}\n", what, times.processor_us, times.median_us);
  };
  row("sample number -> source and its sample", look_up);
  row("reading a sample, its pages never seen", first);
  row("reading a sample, its pages in memory", again);
  fmt::print("{:<44}{:>12.2f} s\n", "opening (checks every index)", open_s);
  fmt::print("{:<44}{:>12.1f} MiB, {:.1f} bytes a document\n", "memory held", memory_mib("RssAnon") - memory_before,
             (memory_mib("RssAnon") - memory_before) * 1048576 / double(documents * kSources));
  fmt::print("{:<44}{:>12} (Megatron-Core: {:.0f} GB)\n", "tables on disk or in memory, by sample", "none",
             22e-9 * double(kSamples));
}

}  // namespace
}  // namespace stoa::trainer

int main(int argc, char** argv) {
  const std::filesystem::path base = argc > 2 ? argv[2] : std::filesystem::temp_directory_path();
  std::string folder = (base / "stoa-mixture-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  stoa::trainer::run(argc > 1 ? std::stoll(argv[1]) : 250'000, folder);
  std::filesystem::remove_all(folder);
}
