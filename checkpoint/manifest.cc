#include "stoa/checkpoint/manifest.h"

#include <algorithm>
#include <limits>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

constexpr const char* kFormat = "stoa-checkpoint";
constexpr int kVersion = 1;
/// The oldest reader that understands what we write.
constexpr int kReadableFrom = 1;
constexpr const char* kFileName = "manifest.json";
constexpr std::uintmax_t kLargestManifest = std::uintmax_t{256} << 20;
constexpr std::size_t kMostShards = 99999;

constexpr std::string_view kTailBegin = "\"digest\": \"";
constexpr std::string_view kTailEnd = "\"\n}\n";
constexpr std::size_t kDigestDigits = 32;
constexpr std::size_t kTailBytes = kTailBegin.size() + kDigestDigits + kTailEnd.size();

bool is_digest(std::string_view digits) {
  return digits.size() == kDigestDigits && digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string digest_of(std::string_view body) { return xxh3_128_hex(std::as_bytes(std::span(body))); }

void check_digest(std::string_view text, std::string_view place) {
  const std::string_view tail = text.size() < kTailBytes ? "" : text.substr(text.size() - kTailBytes);
  if (!tail.starts_with(kTailBegin) || !tail.ends_with(kTailEnd))
    throw DataError("{}: does not end with its digest: it is cut off or not a manifest", place);
  const std::string_view stated = tail.substr(kTailBegin.size(), kDigestDigits);
  const std::string found = digest_of(text.substr(0, text.size() - kTailBytes));
  if (stated != found)
    throw DataError("{}: its digest is {}, but it says {}: its bytes were changed", place, found, stated);
}

const Json& array_field(const Json& object, const char* key, std::string_view place) {
  if (!object.contains(key) || !object.at(key).is_array()) throw_json_field_error(object, key, place, "an array");
  return object.at(key);
}

void check_version(const Json& document, std::string_view place) {
  if (json_field<std::string>(document, "format", place) != kFormat)
    throw DataError("{}: not a checkpoint manifest", place);
  const int version = json_field<int>(document, "version", place);
  const int readable_from = json_field<int>(document, "readable_from", place);
  if (version < 1 || readable_from > kVersion)
    throw DataError("{}: manifest version {} (readable from version {}), this Stoa reads version {}", place, version,
                    readable_from, kVersion);
}

ShardRecord parse_shard(const Json& object, std::size_t index, std::size_t count, std::string_view place) {
  ShardRecord shard;
  shard.file = json_field<std::string>(object, "file", place);
  shard.bytes = json_field<std::int64_t>(object, "bytes", place);
  shard.table_offset = json_field<std::int64_t>(object, "table_offset", place);
  shard.table_bytes = json_field<std::int64_t>(object, "table_bytes", place);
  shard.table_digest = json_field<std::string>(object, "table_xxh3_128", place);
  // The name follows from the position: a manifest cannot make a reader open any other file.
  if (const std::string name = shard_file_name(static_cast<int>(index), static_cast<int>(count)); shard.file != name)
    throw DataError("{}: shard {} must be named {}", place, index, name);
  if (shard.bytes < 0 || shard.table_offset < 0 || shard.table_bytes < 1 || shard.table_offset > shard.bytes ||
      shard.table_bytes > shard.bytes - shard.table_offset)
    throw DataError("{}: the piece table of {} is not inside the file", place, shard.file);
  if (object.contains("rest_xxh3_128")) {
    shard.rest_digest = json_field<std::string>(object, "rest_xxh3_128", place);
    if (!is_digest(shard.rest_digest)) throw DataError("{}: the digest of {} is malformed", place, shard.file);
  }
  if (!is_digest(shard.table_digest)) throw DataError("{}: the digest of {} is malformed", place, shard.file);
  return shard;
}

Manifest parse_document(const Json& document, std::string_view place) {
  check_version(document, place);
  Manifest manifest;
  manifest.step = json_field<std::int64_t>(document, "step", place);
  if (manifest.step < 0) throw DataError("{}: step {} is negative", place, manifest.step);
  manifest.attempt = json_field<std::string>(document, "attempt", place);
  manifest.created = json_field<std::string>(document, "created", place);
  manifest.state = json_field<Json>(document, "state", place);
  if (document.contains("evaluation_loss"))
    manifest.evaluation_loss = json_field<double>(document, "evaluation_loss", place);
  for (const Json& object : array_field(document, "tensors", place)) {
    manifest.tensors.push_back(tensor_from_json(object, "name", place));
    manifest.norms.push_back(object.contains("norm") ? json_field<double>(object, "norm", place)
                                                     : std::numeric_limits<double>::quiet_NaN());
    const std::size_t count = manifest.tensors.size();
    if (count > 1 && manifest.tensors[count - 2].name >= manifest.tensors[count - 1].name)
      throw DataError("{}: tensors are not sorted by name at '{}'", place, manifest.tensors.back().name);
  }
  const Json& shards = array_field(document, "shards", place);
  if (shards.empty() || shards.size() > kMostShards) throw DataError("{}: {} shards", place, shards.size());
  if (json_field<std::size_t>(document, "ranks", place) != shards.size())
    throw DataError("{}: 'ranks' is not the number of shards, {}", place, shards.size());
  for (std::size_t i = 0; i < shards.size(); ++i)
    manifest.shards.push_back(parse_shard(shards[i], i, shards.size(), place));
  return manifest;
}

/// One element a line where there are many, so that people can read and diff it.
std::string lines_of(const std::vector<Json>& objects) {
  std::string text = "[";
  for (std::size_t i = 0; i < objects.size(); ++i) text += (i == 0 ? "\n    " : ",\n    ") + objects[i].dump();
  return text + "\n  ]";
}

std::string manifest_text(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kFileName;
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) throw CheckpointError("{}: a link, not a file", path.string());
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) throw CheckpointError("{}: {}", path.string(), error.message());
  if (bytes > kLargestManifest) throw CheckpointError("{}: {} bytes is too large for a manifest", path.string(), bytes);
  return read_text_file(path);
}

}  // namespace

std::string shard_file_name(int rank, int ranks) { return fmt::format("shard-{:05}-of-{:05}.h5", rank, ranks); }

std::string format_manifest(const Manifest& manifest) {
  std::vector<Json> tensors, shards;
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    tensors.push_back(tensor_to_json(manifest.tensors[i], "name"));
    if (i < manifest.norms.size() && std::isfinite(manifest.norms[i])) tensors.back()["norm"] = manifest.norms[i];
  }
  for (const ShardRecord& shard : manifest.shards) {
    shards.push_back(Json{{"file", shard.file},
                          {"bytes", shard.bytes},
                          {"table_offset", shard.table_offset},
                          {"table_bytes", shard.table_bytes},
                          {"table_xxh3_128", shard.table_digest}});
    if (!shard.rest_digest.empty()) shards.back()["rest_xxh3_128"] = shard.rest_digest;
  }
  const std::string evaluated =
      manifest.evaluation_loss ? fmt::format("  \"evaluation_loss\": {},\n", Json(*manifest.evaluation_loss).dump())
                               : "";
  std::string text = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"readable_from\": {},\n  \"step\": {},\n  \"attempt\": {},\n"
      "  \"created\": {},\n{}  \"ranks\": {},\n  \"state\": {},\n  \"tensors\": {},\n  \"shards\": {},\n  ",
      kFormat, kVersion, kReadableFrom, manifest.step, Json(manifest.attempt).dump(), Json(manifest.created).dump(),
      evaluated, manifest.shards.size(), manifest.state.dump(), lines_of(tensors), lines_of(shards));
  return text + fmt::format("{}{}{}", kTailBegin, digest_of(text), kTailEnd);
}

Manifest parse_manifest(std::string_view text, std::string_view place) {
  try {
    check_digest(text, place);
    return parse_document(parse_json(text, place), place);
  } catch (const DataError& failure) {
    throw CheckpointError("{}", failure.what());
  }
}

Manifest read_manifest(const std::filesystem::path& folder) {
  return parse_manifest(manifest_text(folder), (folder / kFileName).string());
}

std::string manifest_digest(const std::filesystem::path& folder) {
  const std::string text = manifest_text(folder);
  parse_manifest(text, (folder / kFileName).string());
  return text.substr(text.size() - kTailEnd.size() - kDigestDigits, kDigestDigits);
}

}  // namespace stoa::checkpoint
