#include "stoa/checkpoint/piece_table.h"

#include <charconv>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

constexpr const char* kFormat = "stoa-piece-table";
constexpr int kVersion = 1;

std::uint64_t parse_checksum(const std::string& digits, std::string_view place) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  if (digits.size() != 16 || error != std::errc() || stop != end)
    throw DataError("{}: '{}' is not a checksum of 16 hexadecimal digits", place, digits.substr(0, 80));
  return value;
}

StoredPiece parse_piece(const Json& object, std::int64_t chunk_bytes, std::int64_t shard_bytes,
                        std::string_view place) {
  StoredPiece piece;
  piece.chunk_bytes = chunk_bytes;
  piece.tensor = tensor_from_json(object, "tensor", place);
  piece.box = box_from_json(object, piece.tensor, place);
  piece.offset = json_field<std::int64_t>(object, "offset", place);
  piece.bytes = json_field<std::int64_t>(object, "bytes", place);
  const std::int64_t expected = piece.box.elements() * dtype_bytes(piece.tensor.dtype);
  if (piece.bytes != expected || piece.bytes == 0)
    throw DataError("{}: tensor '{}': {} bytes for box {}, expected {}", place, piece.tensor.name, piece.bytes,
                    describe_box(piece.box), expected);
  if (piece.offset < 0 || piece.offset > shard_bytes || piece.bytes > shard_bytes - piece.offset)
    throw DataError("{}: tensor '{}': bytes {} + {} are not inside the shard's {} bytes", place, piece.tensor.name,
                    piece.offset, piece.bytes, shard_bytes);
  for (const std::string& digits : json_field<std::vector<std::string>>(object, "xxh3_64", place))
    piece.chunk_checksums.push_back(parse_checksum(digits, place));
  if (static_cast<std::int64_t>(piece.chunk_checksums.size()) != chunks_of(piece.bytes, chunk_bytes))
    throw DataError("{}: tensor '{}': {} checksums for {} chunks", place, piece.tensor.name,
                    piece.chunk_checksums.size(), chunks_of(piece.bytes, chunk_bytes));
  return piece;
}

}  // namespace

std::int64_t chunks_of(std::int64_t bytes, std::int64_t chunk_bytes) { return (bytes + chunk_bytes - 1) / chunk_bytes; }

std::string format_piece_table(const std::vector<StoredPiece>& pieces) {
  Json table{{"format", kFormat}, {"version", kVersion}, {"chunk_bytes", kChunkBytes}, {"pieces", Json::array()}};
  for (const StoredPiece& piece : pieces) {
    Json object = tensor_to_json(piece.tensor, "tensor");
    add_box(object, piece.box);
    object["offset"] = piece.offset;
    object["bytes"] = piece.bytes;
    object["xxh3_64"] = Json::array();
    for (const std::uint64_t checksum : piece.chunk_checksums) object["xxh3_64"].push_back(hex64(checksum));
    table["pieces"].push_back(std::move(object));
  }
  return table.dump();
}

std::vector<StoredPiece> parse_piece_table(std::string_view text, std::int64_t shard_bytes, std::string_view place) {
  const Json table = parse_json(text, place);
  if (json_field<std::string>(table, "format", place) != kFormat) throw DataError("{}: not a piece table", place);
  if (const int version = json_field<int>(table, "version", place); version != kVersion)
    throw DataError("{}: piece table version {}, this Stoa reads version {}", place, version, kVersion);
  const auto chunk_bytes = json_field<std::int64_t>(table, "chunk_bytes", place);
  if (chunk_bytes < kLeastChunkBytes || chunk_bytes > kTransferBytes || (chunk_bytes & (chunk_bytes - 1)) != 0)
    throw DataError("{}: chunk_bytes must be a power of two from {} to {}", place, kLeastChunkBytes, kTransferBytes);
  std::vector<StoredPiece> pieces;
  const Json& array = table.contains("pieces") ? table.at("pieces") : Json();
  if (!array.is_array()) throw_json_field_error(table, "pieces", place, "an array");
  for (const Json& object : array) pieces.push_back(parse_piece(object, chunk_bytes, shard_bytes, place));
  return pieces;
}

}  // namespace stoa::checkpoint
