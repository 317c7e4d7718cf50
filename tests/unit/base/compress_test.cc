#include "stoa/base/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "stoa/base/error.h"
#include "stoa/tests/reference/gzip.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa {
namespace {

using testing::HasSubstr;
using trainer::message_of;
using trainer::read_bytes;
using trainer::ScratchFolder;
using trainer::write_bytes;

std::string some_text(std::size_t bytes) {
  std::string text;
  for (std::uint64_t state = 7; text.size() < bytes; state = state * 6364136223846793005U + 1442695040888963407U)
    text += "word" + std::to_string(state >> 40) + (state >> 60 == 0 ? "\n" : " ");
  text.resize(bytes);
  return text;
}

std::string content_of(const std::filesystem::path& path, std::size_t part = 65537) {
  InputStream input(path);
  std::string all, buffer(part, '\0');
  while (const std::size_t got = input.read(buffer)) all.append(buffer, 0, got);
  EXPECT_EQ(input.bytes_read(), input.bytes_in_all());
  return all;
}

class CompressTest : public testing::Test {
 protected:
  std::string content(const char* name, std::string_view bytes, std::size_t part = 65537) {
    write_bytes(folder_ / name, bytes);
    return content_of(folder_ / name, part);
  }
  std::string refusal(const char* name, std::string_view bytes) {
    return message_of<DataError>([&] { content(name, bytes); });
  }
  ScratchFolder folder_;
};

TEST_F(CompressTest, PlainGzipAndZstdGiveTheSameContentWhateverTheSizeOfReads) {
  const std::string text = some_text(1'234'567);
  for (const std::size_t part : {1023U, 65537U, 4'000'037U}) {
    EXPECT_EQ(content("a.txt", text, part), text);
    EXPECT_EQ(content("a.txt.gz", gzip(text), part), text);
    EXPECT_EQ(content("a.txt.zst", zstd_compressed(text), part), text);
  }
}

TEST_F(CompressTest, MembersAndFramesOneAfterAnotherAreOneStream) {
  const std::string a = some_text(70'001), b = some_text(333), skippable("\x52\x2A\x4D\x18\x05\0\0\0guess", 13);
  EXPECT_EQ(content("a.gz", gzip(a) + gzip("") + gzip(b)), a + b);
  EXPECT_EQ(content("a.gz", gzip(a) + std::string(513, '\0')), a);
  EXPECT_EQ(content("a.zst", skippable + zstd_compressed(a) + skippable + zstd_compressed(b) + skippable), a + b);
  EXPECT_EQ(content("a.gz", gzip("")), "");
  EXPECT_EQ(content("a.zst", zstd_compressed("")), "");
}

TEST_F(CompressTest, EveryTruncationIsAnErrorWithTheByte) {
  const std::string text = some_text(999);
  for (const auto& [name, bytes] : {std::pair{"a.gz", gzip(text)}, std::pair{"a.zst", zstd_compressed(text)}})
    for (std::size_t size = 0; size < bytes.size(); ++size)
      ASSERT_THAT(refusal(name, bytes.substr(0, size)),
                  HasSubstr(fmt::format("{}: byte {}: the {} content is truncated", name, size,
                                        std::string_view(name) == "a.gz" ? "gzip" : "zstd")));
}

TEST_F(CompressTest, DamageInTheMiddleIsAnErrorWithTheByte) {
  const std::string text = some_text(3'000'017);
  OutputStream with_checksum(folder_ / "b.zst");
  with_checksum.write(text);
  with_checksum.finish();
  for (const auto& [name, whole] : {std::pair{"a.gz", gzip(text)}, std::pair{"a.zst", read_bytes(folder_ / "b.zst")}}) {
    std::string bytes = whole;
    bytes[bytes.size() / 2] ^= 0x10;
    EXPECT_THAT(refusal(name, bytes), testing::MatchesRegex(".*a\\.[a-z]+: byte [0-9]+: damaged .*"));
  }
  EXPECT_THAT(refusal("a.gz", "these bytes are no gzip"), HasSubstr("a.gz: byte "));
  EXPECT_THAT(refusal("a.zst", "these bytes are no zstd"), HasSubstr("a.zst: byte 0: damaged zstd content"));
  EXPECT_THAT(refusal("a.gz", gzip(text) + "tail"), HasSubstr("damaged gzip"));
  EXPECT_THAT(refusal("a.gz", gzip(text) + std::string(3, '\0') + "tail"),
              HasSubstr("neither a gzip member nor padding"));
  EXPECT_THAT(refusal("a.zst", zstd_compressed(text) + "tail"), HasSubstr("damaged zstd"));
}

TEST_F(CompressTest, AWindowThatWouldTakeMuchMemoryIsRefused) {
  // Frame header: no content size, window descriptor 0xA0 = 2^(10+20) bytes.
  EXPECT_THAT(refusal("a.zst", std::string("\x28\xB5\x2F\xFD\x00\xA0\x01\x00\x00", 9)),
              HasSubstr("window is larger than 128 MiB"));
}

TEST_F(CompressTest, WritesFramesThatZstdReads) {
  const std::string text = some_text(2'345'678);
  OutputStream output(folder_ / "o.zst");
  for (std::size_t at = 0; at < text.size(); at += 77'777) output.write(std::string_view(text).substr(at, 77'777));
  output.finish();
  EXPECT_EQ(content_of(folder_ / "o.zst"), text);
  EXPECT_LT(std::filesystem::file_size(folder_ / "o.zst"), text.size() / 2);
  EXPECT_THROW(OutputStream(folder_ / "o.gz"), UsageError);
}

TEST_F(CompressTest, SkippingIsReading) {
  const std::string text = some_text(1'000'003);
  write_bytes(folder_ / "a", text);
  write_bytes(folder_ / "a.gz", gzip(text));
  for (const char* name : {"a", "a.gz"}) {
    InputStream input(folder_ / name);
    input.skip(765'432);
    std::string buffer(99, '\0');
    ASSERT_EQ(input.read(buffer), 99U);
    EXPECT_EQ(buffer, text.substr(765'432, 99));
    EXPECT_THAT(message_of<DataError>([&] { input.skip(text.size()); }), HasSubstr("ends 765531 bytes before"));
  }
  EXPECT_THAT(message_of<DataError>([&] { InputStream(folder_ / "none.gz"); }), HasSubstr("none.gz: no such file"));
}

}  // namespace
}  // namespace stoa
