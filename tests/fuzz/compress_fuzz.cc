/// The input is the content of a .gz and of a .zst file. Reading must give a stoa::Error or the same content in reads
/// of any size.

#include <algorithm>

#include "stoa/base/compress.h"
#include "stoa/base/error.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/tests/fuzz/scratch_file.h"
#include "stoa/tests/reference/gzip.h"

namespace stoa {
namespace {

/// A few bytes may stand for gigabytes: reading more of them shows nothing new.
constexpr std::size_t kMostBytes = 1 << 19;

/// Empty where it is refused.
std::string content_of(const fuzz::ScratchFile& file, std::size_t part) {
  std::string all, buffer(part, '\0');
  try {
    InputStream input(file.path());
    while (const std::size_t got = input.read(buffer)) {
      all.append(buffer, 0, got);
      if (all.size() >= kMostBytes) break;
    }
  } catch (const Error&) {
    return {};
  }
  all.resize(std::min(all.size(), kMostBytes));
  return all;
}

void check(const fuzz::ScratchFile& file, std::string_view bytes) {
  file.write(bytes);
  const std::string whole = content_of(file, 65537);
  if (whole.size() < 65536 && content_of(file, 7) != whole) std::abort();
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string text;
  for (int i = 0; i < 999; ++i) text += std::to_string(i * i) + " words ";
  const std::string skippable("\x52\x2A\x4D\x18\x03\0\0\0abc", 11);
  return {gzip(text), gzip("a") + gzip(text) + std::string(5, '\0'), zstd_compressed(text),
          skippable + zstd_compressed(text) + zstd_compressed("b"),
          std::string("\x28\xB5\x2F\xFD\x00\xA0\x01\x00\x00", 9)};
}

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const stoa::fuzz::ScratchFile gz("a.gz");
  static const stoa::fuzz::ScratchFile zst("a.zst");
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  stoa::check(gz, input);
  stoa::check(zst, input);
  return 0;
}
