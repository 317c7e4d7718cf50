#include "stoa/trainer/data/dataset_fingerprint.h"

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

/// One block of a sidecar: up to here its one digest is that of the file.
constexpr std::uint64_t kMostBytesRead = 64 << 20;
constexpr std::uint64_t kPieces = 1024;
constexpr std::uint64_t kPieceBytes = 16 << 10;

/// Size and digest of each file, as text.
std::string recorded(const Json& sidecar, const char* key, const std::filesystem::path& file,
                     const std::string& place) {
  const auto entry = json_field<Json>(sidecar, key, place);
  const auto bytes = json_field<std::uint64_t>(entry, "bytes", place);
  const std::uint64_t found = std::filesystem::file_size(file);
  if (found != bytes)
    throw DataError("{}: {} bytes, but {} were written ({}): the file has changed", file.string(), found, bytes, place);
  const auto digests = json_field<Json>(entry, "xxh3_128", place);
  std::string text = fmt::format("{} {}", key, bytes);
  for (const Json& digest : digests.is_array() ? digests : Json::array({digests})) {
    if (!digest.is_string()) throw DataError("{}: '{}.xxh3_128' has {}, which is no digest", place, key, digest.dump());
    text += " " + digest.get<std::string>();
  }
  return text + "\n";
}

std::string computed(const char* key, const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() <= kMostBytesRead) return fmt::format("{} {} {}\n", key, bytes.size(), xxh3_128_hex(bytes));
  Xxh3Stream digest;
  const std::uint64_t room = bytes.size() - kPieceBytes;
  for (std::uint64_t piece = 0; piece < kPieces; ++piece) {
    const double part = static_cast<double>(piece) / static_cast<double>(kPieces - 1);
    const auto at = static_cast<std::uint64_t>(part * static_cast<double>(room));
    digest.update(bytes.subspan(std::min(at, room), kPieceBytes));
  }
  return fmt::format("{} {} sampled {}\n", key, bytes.size(), digest.digest_128_hex());
}

}  // namespace

std::string dataset_fingerprint(const std::filesystem::path& prefix) {
  const std::filesystem::path sidecar_path = indexed::checksums_path(prefix);
  std::string text;
  if (std::filesystem::exists(sidecar_path)) {
    const std::string place = sidecar_path.string();
    const Json sidecar = parse_json(read_text_file(sidecar_path), place);
    text = recorded(sidecar, "bin", indexed::tokens_path(prefix), place) +
           recorded(sidecar, "idx", indexed::index_path(prefix), place);
  } else {
    text = computed("bin", indexed::tokens_path(prefix)) + computed("idx", indexed::index_path(prefix));
  }
  const char* kind = text.find("sampled") == std::string::npos ? "" : "sampled-";
  return kind + xxh3_128_hex(std::as_bytes(std::span(text)));
}

}  // namespace stoa::trainer
