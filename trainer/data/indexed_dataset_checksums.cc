#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

constexpr int kSidecarVersion = 1;

Json digest_of(const std::filesystem::path& path) {
  const MappedFile file(path);
  return {{"bytes", file.bytes().size()}, {"xxh3_128", xxh3_128_hex(file.bytes())}};
}

void verify_one(const std::filesystem::path& path, const Json& recorded, const std::string& place) {
  const auto bytes = json_field<std::uint64_t>(recorded, "bytes", place);
  const auto digest = json_field<std::string>(recorded, "xxh3_128", place);
  const MappedFile file(path);
  if (file.bytes().size() != bytes)
    throw DataError("{}: {} bytes, but {} were written ({})", path.string(), file.bytes().size(), bytes, place);
  const std::string found = xxh3_128_hex(file.bytes());
  if (found != digest)
    throw DataError("{}: xxh3-128 is {}, but {} was written ({}): the file has changed", path.string(), found, digest,
                    place);
}

}  // namespace

void write_checksums(const std::filesystem::path& prefix) {
  const Json sidecar = {{"version", kSidecarVersion},
                        {"bin", digest_of(indexed::tokens_path(prefix))},
                        {"idx", digest_of(indexed::index_path(prefix))}};
  write_file_durably(indexed::checksums_path(prefix), sidecar.dump(2) + "\n");
}

bool verify_checksums(const std::filesystem::path& prefix) {
  const std::filesystem::path path = indexed::checksums_path(prefix);
  if (!std::filesystem::exists(path)) return false;
  const std::string place = path.string();
  const Json sidecar = parse_json(read_text_file(path), place);
  const auto version = json_field<int>(sidecar, "version", place);
  if (version != kSidecarVersion)
    throw DataError("{}: version {}, but {} is the one known", place, version, kSidecarVersion);
  verify_one(indexed::tokens_path(prefix), json_field<Json>(sidecar, "bin", place), place);
  verify_one(indexed::index_path(prefix), json_field<Json>(sidecar, "idx", place), place);
  return true;
}

}  // namespace stoa::trainer
