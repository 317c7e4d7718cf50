#include "stoa/base/units.h"

#include <gtest/gtest.h>

namespace stoa {
namespace {

TEST(Units, BytesAreScaledByPowersOf1024) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(3.2 * 1024 * 1024 * 1024), "3.20 GiB");
}

TEST(Units, DurationsShowTheTwoLargestUnits) {
  EXPECT_EQ(format_duration(0.84), "0.8 s");
  EXPECT_EQ(format_duration(59), "59 s");
  EXPECT_EQ(format_duration(245), "4 min 05 s");
  EXPECT_EQ(format_duration(11520), "3 h 12 min");
}

TEST(Units, GroupsDigitsByThree) {
  EXPECT_EQ(format_grouped(-1234567), "-1,234,567");
  EXPECT_EQ(format_grouped(999), "999");
}

TEST(Units, SizesAreReadInPowersOf1000And1024) {
  EXPECT_EQ(parse_bytes("257"), 257);
  EXPECT_EQ(parse_bytes("257B"), 257);
  EXPECT_EQ(parse_bytes("5GB"), 5'000'000'000);
  EXPECT_EQ(parse_bytes("5 GiB"), std::int64_t{5} << 30);
  EXPECT_EQ(parse_bytes("33KB"), 33'000);
  for (const char* wrong : {"", "GB", "0GB", "-1GB", "5G", "5gb", "5GBs", "5  GB", "1.5GB", "99999999999TB", "5iB"})
    EXPECT_EQ(parse_bytes(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace stoa
