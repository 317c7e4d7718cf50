#include "stoa/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Manifest small_manifest() {
  return {40,
          "2",
          "2026-03-05T14:07:09Z",
          Json{{"seed", 7}},
          {{"a", DType::kFloat32, {33, 65}}, {"b", DType::kFloat32, {}}},
          {{"shard-00000-of-00001.h5", 9000, 512, 300, std::string(32, 'a'), std::string(32, 'c')}},
          {1.5, 0.1},
          2.25};
}

/// The manifest's text after an edit, with a digest that is right again.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = format_manifest(small_manifest());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  const std::string body = text.substr(0, text.rfind("\"digest\""));
  return body + "\"digest\": \"" + xxh3_128_hex(std::as_bytes(std::span(body))) + "\"\n}\n";
}

void expect_refused(const std::string& from, const std::string& to, const std::string& reason) {
  EXPECT_THAT([&] { parse_manifest(edited(from, to), "m.json"); },
              ThrowsMessage<CheckpointError>(AllOf(HasSubstr("m.json: "), HasSubstr(reason))))
      << from << " -> " << to;
}

TEST(Manifest, ComesBackAsItWasWritten) {
  const Manifest manifest = parse_manifest(format_manifest(small_manifest()), "m.json");
  EXPECT_EQ(format_manifest(manifest), format_manifest(small_manifest()));
  EXPECT_EQ(manifest.tensors[0].shape, (std::vector<std::int64_t>{33, 65}));
  EXPECT_EQ(manifest.norms, (std::vector<double>{1.5, 0.1}));
  EXPECT_EQ(manifest.evaluation_loss, 2.25);
}

TEST(Manifest, WhatWasNotRecordedNeedNotBeThere) {
  Manifest plain = small_manifest();
  plain.norms.clear();
  plain.evaluation_loss.reset();
  plain.shards[0].rest_digest.clear();
  const Manifest manifest = parse_manifest(format_manifest(plain), "m.json");
  for (const double norm : manifest.norms) EXPECT_TRUE(std::isnan(norm));
  EXPECT_FALSE(manifest.evaluation_loss);
  EXPECT_EQ(manifest.shards[0].rest_digest, "");
  EXPECT_EQ(manifest.norms.size(), 2u);
}

TEST(Manifest, IsOneJsonDocumentWithItsDigest) {
  const Json document = parse_json(format_manifest(small_manifest()), "m.json");
  EXPECT_EQ(document.at("digest").get<std::string>().size(), 32u);
}

TEST(Manifest, EveryPrefixIsRefused) {
  const std::string text = format_manifest(small_manifest());
  for (std::size_t bytes = 0; bytes < text.size(); ++bytes)
    EXPECT_THROW(parse_manifest(text.substr(0, bytes), "m.json"), CheckpointError) << bytes;
}

TEST(Manifest, NewKeysAreIgnoredAndNewerFormatsAreRefusedByTheirOwnWord) {
  EXPECT_EQ(parse_manifest(edited("\"version\": 1,", "\"version\": 2, \"colour\": 5,"), "m.json").step, 40);
  expect_refused("\"readable_from\": 1", "\"readable_from\": 2", "readable from version 2");
}

TEST(Manifest, WrongValuesAreNamed) {
  expect_refused("\"stoa-checkpoint\"", "\"other\"", "not a checkpoint manifest");
  expect_refused("\"step\": 40", "\"step\": \"40\"", "'step' must be a whole number");
  expect_refused("\"step\": 40", "\"step\": -1", "negative");
  expect_refused("\"ranks\": 1", "\"ranks\": 2", "'ranks' is not the number of shards");
  expect_refused("[33,65]", "[33,0]", "empty dim");
  expect_refused("[33,65]", "[4611686018427387904,65]", "too large");
  expect_refused("[33,65]", "[1,1,1,1,1,1,1,1,1]", "9 dims");
  expect_refused("\"a\"", "\"c\"", "not sorted");
  expect_refused("\"a\"", "\"b\"", "not sorted");
  expect_refused("float32", "float64", "dtype 'float64'");
  expect_refused("shard-00000-of-00001.h5", "../../etc/passwd", "must be named shard-00000-of-00001.h5");
  expect_refused("\"table_bytes\":300", "\"table_bytes\":9000", "not inside the file");
  expect_refused("\"table_offset\":512", "\"table_offset\":9223372036854775807", "not inside the file");
  expect_refused(std::string(32, 'a'), std::string(31, 'a'), "malformed");
}

StoredPiece small_piece() { return {{"a", DType::kFloat32, {33, 65}}, {{32, 0}, {1, 65}}, 512, 260, {1}}; }

void expect_table_refused(const std::string& from, const std::string& to, const std::string& reason) {
  std::string text = format_piece_table({small_piece()});
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  EXPECT_THAT([&] { parse_piece_table(text, 9000, "t"); }, ThrowsMessage<DataError>(HasSubstr(reason))) << to;
}

TEST(PieceTable, ComesBackAsItWasWritten) {
  const std::string text = format_piece_table({small_piece()});
  EXPECT_EQ(format_piece_table(parse_piece_table(text, 9000, "t")), text);
}

TEST(PieceTable, ItsLengthDoesNotDependOnChecksums) {
  StoredPiece other = small_piece();
  other.chunk_checksums = {~std::uint64_t{0}};
  EXPECT_EQ(format_piece_table({other}).size(), format_piece_table({small_piece()}).size());
}

TEST(PieceTable, WrongValuesAreNamed) {
  expect_table_refused("\"version\":1", "\"version\":2", "version 2");
  for (const char* bytes : {"1", "32768", "1048577", "8388608", "-1048576"})
    expect_table_refused("\"chunk_bytes\":1048576", std::string("\"chunk_bytes\":") + bytes, "power of two");
  expect_table_refused("\"begin\":[32,0]", "\"begin\":[33,0]", "not inside its shape");
  expect_table_refused("\"begin\":[32,0]", "\"begin\":[0]", "not inside its shape");
  expect_table_refused("\"size\":[1,65]", "\"size\":[1,-1]", "not inside its shape");
  expect_table_refused("\"bytes\":260", "\"bytes\":256", "expected 260");
  expect_table_refused("\"offset\":512", "\"offset\":8741", "not inside the shard's 9000 bytes");
  expect_table_refused("\"offset\":512", "\"offset\":-1", "not inside the shard's 9000 bytes");
  expect_table_refused("0000000000000001", "000000000000000x", "not a checksum");
  expect_table_refused("[\"0000000000000001\"]", "[]", "0 checksums for 1 chunks");
  expect_table_refused("\"pieces\":", "\"parts\":", "'pieces' is missing");
}

}  // namespace
}  // namespace stoa::checkpoint
