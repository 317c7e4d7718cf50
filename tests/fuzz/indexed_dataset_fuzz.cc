/// The input is a length (two bytes), that many bytes of .idx and the rest of .bin. Opening must give a stoa::Error or
/// a data set whose every document can be read.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "stoa/base/error.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/trainer/data/indexed_dataset.h"

namespace stoa {
namespace {

/// Files in memory where the system has a place for that: a fuzz run writes some ten thousand.
class InputFiles {
 public:
  InputFiles() {
    const std::filesystem::path memory = "/dev/shm";
    const std::filesystem::path parent =
        std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    std::string name = (parent / "stoa_fuzz_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  ~InputFiles() { std::filesystem::remove_all(folder_); }

  std::filesystem::path prefix() const { return folder_ / "d"; }

  void write(std::string_view idx, std::string_view bin) const {
    std::ofstream(folder_ / "d.idx", std::ios::binary) << idx;
    std::ofstream(folder_ / "d.bin", std::ios::binary) << bin;
  }

 private:
  std::filesystem::path folder_;
};

const InputFiles& files() {
  static const InputFiles one;
  return one;
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string seed(std::int64_t vocabulary_size, int documents) {
  trainer::IndexedDatasetWriter writer(files().prefix(), vocabulary_size);
  for (int d = 0; d < documents; ++d)
    writer.add_document(std::vector<std::int32_t>(static_cast<std::size_t>(d % 5), d));
  writer.finish();
  const std::string idx = slurp(files().prefix().string() + ".idx");
  const char length[] = {static_cast<char>(idx.size() & 0xFF), static_cast<char>(idx.size() >> 8)};
  return std::string(length, 2) + idx + slurp(files().prefix().string() + ".bin");
}

void read_everything(const trainer::IndexedDataset& dataset) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t d = 0; d < dataset.documents(); ++d) {
    tokens.resize(static_cast<std::size_t>(dataset.document_size(d)));
    dataset.read(dataset.document_begin(d), tokens);
  }
  dataset.verify_tokens(300);
}

}  // namespace

std::vector<std::string> fuzz::seeds() { return {seed(300, 0), seed(300, 1), seed(300, 7), seed(70000, 33)}; }

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 2), size - 2);
  const std::size_t idx_bytes = std::min<std::size_t>(data[0] | (data[1] << 8), input.size());
  stoa::files().write(input.substr(0, idx_bytes), input.substr(idx_bytes));
  try {
    stoa::read_everything(stoa::trainer::IndexedDataset(stoa::files().prefix()));
  } catch (const stoa::Error&) {
  }
  return 0;
}
