#include "stoa/trainer/model/utf8_stream.h"

#include <gtest/gtest.h>

namespace stoa::trainer {
namespace {

/// One, two, three and four bytes.
constexpr std::string_view kText = "a\u00e9\u4e2d\U0001f600z";

TEST(Utf8Stream, HoldsACharacterBackUntilItIsWhole) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("x\xe4"), "x");
  EXPECT_EQ(stream.push("\xb8"), "");
  EXPECT_EQ(stream.push("\xad!"), "\xe4\xb8\xad!");
  EXPECT_EQ(stream.held(), "");
}

TEST(Utf8Stream, AnyCutGivesTheSameText) {
  for (std::size_t size = 1; size <= kText.size(); ++size) {
    Utf8Stream stream;
    std::string whole;
    for (std::size_t at = 0; at < kText.size(); at += size) {
      const std::string shown = stream.push(kText.substr(at, size));
      EXPECT_TRUE(shown.empty() || (static_cast<unsigned char>(shown[0]) & 0xc0U) != 0x80U)
          << "begins within a character";
      whole += shown;
    }
    EXPECT_EQ(whole + stream.held(), kText) << size;
  }
}

TEST(Utf8Stream, BytesThatAreNoTextPassThrough) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xff\x80\x80\x80\x80"), "\xff\x80\x80\x80\x80");
  EXPECT_EQ(stream.push("\xc0"), "\xc0");
}

TEST(Utf8Stream, ACharacterThatNothingEndsIsNeverShown) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xf0\x9f\x98"), "");
  EXPECT_EQ(stream.held(), "\xf0\x9f\x98");
}

}  // namespace
}  // namespace stoa::trainer
