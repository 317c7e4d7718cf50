#include "stoa/base/checksum.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace stoa {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// The examples of FIPS 180-4 (NIST, "Cryptographic Standards and Guidelines: Example Values").
TEST(Sha256, IsTheStandardsDigest) {
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(bytes_of(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfPartsIsOfTheWholeAndMayGoOnAfterADigest) {
  const std::string text(10007, 'q');
  Sha256Stream stream;
  for (std::size_t at = 0; at < text.size(); at += 97) stream.update(bytes_of(text.substr(at, 97)));
  EXPECT_EQ(stream.digest_hex(), sha256_hex(bytes_of(text)));
  EXPECT_EQ(stream.digest_hex(), sha256_hex(bytes_of(text)));
  stream.update(bytes_of("more"));
  Sha256Stream moved = std::move(stream);
  EXPECT_EQ(moved.digest_hex(), sha256_hex(bytes_of(text + "more")));
}

}  // namespace
}  // namespace stoa
