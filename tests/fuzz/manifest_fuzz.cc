/// The two texts that a reader of checkpoints believes: the manifest and the piece table. What is accepted must come
/// back unchanged from a second round, so that nothing is read in two ways.
#include <cstdlib>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/tests/fuzz/fuzz_target.h"

namespace {

using namespace stoa;
using namespace stoa::checkpoint;

constexpr std::int64_t kShardBytes = std::int64_t{16} << 20;

Manifest seed_manifest() {
  return {40,
          "2",
          "2026-03-05T14:07:09Z",
          Json{{"seed", 7}, {"window", {1.5, 0.1}}},
          {{"parameters/a", DType::kFloat32, {33, 65}}, {"parameters/b", DType::kFloat32, {}}},
          {{"shard-00000-of-00002.h5", 9000, 512, 300, std::string(32, 'a')},
           {"shard-00001-of-00002.h5", 9000, 512, 300, std::string(32, 'b')}},
          {1.5, 0.1},
          2.25};
}

/// A digest would refuse every mutation before the parser sees it: it is made right again.
void try_manifest(std::string_view input) {
  const std::string body(input.substr(0, input.rfind("\"digest\"")));
  const std::string text = body + "\"digest\": \"" + xxh3_128_hex(std::as_bytes(std::span(body))) + "\"\n}\n";
  try {
    const std::string once = format_manifest(parse_manifest(text, "input"));
    if (format_manifest(parse_manifest(once, "again")) != once) std::abort();
  } catch (const CheckpointError&) {
  }
  try {
    parse_manifest(input, "input");
  } catch (const CheckpointError&) {
  }
}

void try_piece_table(std::string_view input) {
  try {
    const std::vector<StoredPiece> pieces = parse_piece_table(input, kShardBytes, "input");
    for (const StoredPiece& piece : pieces)
      if (piece.offset < 0 || piece.offset + piece.bytes > kShardBytes) std::abort();
    const std::string once = format_piece_table(pieces);
    if (format_piece_table(parse_piece_table(once, kShardBytes, "again")) != once) std::abort();
  } catch (const DataError&) {
  }
}

}  // namespace

namespace stoa::fuzz {

std::vector<std::string> seeds() {
  const StoredPiece rows{{"parameters/a", DType::kFloat32, {33, 65}}, {{32, 0}, {1, 65}}, 512, 260, {1}};
  const StoredPiece large{
      {"adam_m/b", DType::kFloat32, {1033, 1031}}, {{0, 0}, {1033, 1031}}, 1 << 20, 4 * 1033 * 1031, {7, 8, 9, 10, 11}};
  return {format_manifest(seed_manifest()), format_piece_table({rows, large}), format_piece_table({})};
}

}  // namespace stoa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_manifest(input);
  try_piece_table(input);
  return 0;
}
