/// Files that lie are refused with a sentence before anything they say is believed; what is written reads back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/checkpoint/safetensors_index.h"
#include "stoa/checkpoint/safetensors_reader.h"
#include "stoa/checkpoint/safetensors_values.h"
#include "stoa/checkpoint/safetensors_writer.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view json, std::int64_t data_bytes) {
  try {
    parse_safetensors_header(json, data_bytes, "hostile.safetensors");
  } catch (const DataError& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("hostile.safetensors: "));
    EXPECT_LT(std::string(failure.what()).size(), 400U);
    return failure.what();
  }
  return "accepted";
}

struct Hostile {
  std::string json;
  std::int64_t data_bytes;
  std::string says;
};

const Hostile kHostile[] = {
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}} x)", 12, "not valid JSON"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]})", 12, "not valid JSON"},
    {R"([])", 0, "does not begin with '{'"},
    {R"({"a":7})", 0, "'a' is a number, not an object"},
    {R"({"a":{"dtype":"F32","shape":[3]}})", 12, "'data_offsets' is missing"},
    {R"({"a":{"shape":[3],"data_offsets":[0,12]}})", 12, "'dtype' is missing"},
    {R"({"a":{"dtype":"F33","shape":[3],"data_offsets":[0,12]}})", 12, "dtype 'F33'"},
    {R"({"a":{"dtype":"F32","shape":[3],"shape":[3],"data_offsets":[0,12]}})", 12, "a second key 'shape'"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12],"offset":3}})", 12, "unknown key 'offset'"},
    {R"({"a":{"dtype":"F32","shape":[-3],"data_offsets":[0,12]}})", 12, "-3 in 'shape' is below zero"},
    {R"({"a":{"dtype":"F32","shape":[3.5],"data_offsets":[0,12]}})", 12, "not whole"},
    {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,12]}})", 12, "beyond 63 bits"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0, "no number of bytes"},
    {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, "more than 8"},
    {R"({"a":{"dtype":"F32","shape":[[3]],"data_offsets":[0,12]}})", 12, "a list stands in 'shape'"},
    {R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}})", 12, "is 16 bytes, but data_offsets give it 12"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[12,0]}})", 12, "not a begin and an end"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 13, "13 bytes of data follow"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 8, "8 bytes of data follow"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}})", 16, "there is a hole"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[3],"data_offsets":[8,20]}})",
     20, "they overlap"},
    {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
     8, "stands there twice"},
    {R"({"__metadata__":{"format":[]}})", 0, "a list stands in"},
    {"{\"a\":" + std::string(1 << 20, '['), 0, "'a' is a list"},
    {"{\"a\":{\"dtype\":" + std::string(1 << 20, '{'), 0, "an object stands in"},
    {"{\"" + std::string(1 << 20, 'n') + "\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]}}", 16, "a hole"},
};

TEST(SafetensorsHeader, ThatLiesIsRefusedWithItsReason) {
  for (const Hostile& hostile : kHostile)
    EXPECT_THAT(refusal(hostile.json, hostile.data_bytes), HasSubstr(hostile.says));
}

TEST(SafetensorsHeader, NamesScalarsEmptyTensorsAndMetadataAreRead) {
  const auto entries = parse_safetensors_header(
      R"({"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"__metadata__":{"format":"pt","x":"y"},)"
      R"("a":{"shape":[2],"data_offsets":[0,8],"dtype":"F32"},"e":{"dtype":"I8","shape":[0,5],"data_offsets":[8,8]}}   )",
      10, "good");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[1].name, "e");
  EXPECT_EQ(entries[2].name, "b");
  EXPECT_EQ(entries[2].elements(), 1);
}

class SafetensorsFiles : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) { write_file_durably(folder_.path() / name, bytes); }
  std::string open_error(const std::string& name) {
    try {
      const SafetensorsFile file(folder_.path() / name);
    } catch (const DataError& failure) {
      return failure.what();
    }
    return "accepted";
  }
  std::string model_error() {
    try {
      const SafetensorsModel model(folder_.path());
    } catch (const DataError& failure) {
      return failure.what();
    }
    return "accepted";
  }
  void write_tensor(const std::string& file, const std::string& name) {
    SafetensorsWriter writer(folder_.path() / file, {{name, "F32", {3}}});
    const float values[3] = {1, 2, 3};
    writer.append(std::as_bytes(std::span(values)));
    writer.finish();
  }

  TemporaryFolder folder_;
};

TEST_F(SafetensorsFiles, AHeaderLengthIsNotBelieved) {
  write("short", "1234567");
  EXPECT_THAT(open_error("short"), HasSubstr("7 bytes are no safetensors file"));
  write("huge", std::string(8, '\xff') + "{}");
  EXPECT_THAT(open_error("huge"), HasSubstr("at most 100000000 are read"));
  write("long", std::string("\x03\0\0\0\0\0\0\0{}", 10));
  EXPECT_THAT(open_error("long"), HasSubstr("a header of 3 bytes in a file of 10"));
  write("empty", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  EXPECT_EQ(open_error("empty"), "accepted");
  write("trailing", std::string("\x02\0\0\0\0\0\0\0{}x", 11));
  EXPECT_THAT(open_error("trailing"), HasSubstr("1 bytes of data follow"));
  EXPECT_THAT(open_error("absent"), HasSubstr("No such file"));
  EXPECT_THAT(open_error("."), HasSubstr("not a regular file"));
}

TEST_F(SafetensorsFiles, ValuesOfAnySizeReadBackInAnyPart) {
  std::vector<float> large(1'100'003), small(33);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = small_model_value(1, "large", std::int64_t(i));
  for (std::size_t i = 0; i < small.size(); ++i) small[i] = float(i) - 7.5F;
  std::vector<std::byte> halves(2 * small.size());
  encode_floats(FloatType::kBf16, small, halves);
  SafetensorsWriter writer(folder_.path() / "model.safetensors",
                           {{"small", "BF16", {3, 11}}, {"large", "F32", {std::ssize(large)}}});
  writer.append(halves);
  for (std::size_t at = 0; at < large.size(); at += 70'001)
    writer.append(std::as_bytes(std::span(large).subspan(at, std::min<std::size_t>(70'001, large.size() - at))));
  writer.finish();
  const SafetensorsModel model(folder_.path());
  const auto [file, entry] = model.tensors().at("large");
  std::vector<float> part(500'009);
  file->read(*entry, 600'001 - 7, part);
  EXPECT_EQ(std::memcmp(part.data(), large.data() + 600'001 - 7, std::min(part.size(), large.size() - 599'994) * 4), 0);
  std::vector<float> middle(5);
  file->read(*model.tensors().at("small").entry, 11, middle);
  EXPECT_THAT(middle, testing::ElementsAre(3.5F, 4.5F, 5.5F, 6.5F, 7.5F));
}

TEST_F(SafetensorsFiles, IndexAndFilesMustSayTheSame) {
  EXPECT_THAT(model_error(), HasSubstr("neither model.safetensors nor"));
  write_tensor("one.safetensors", "a");
  write_tensor("two.safetensors", "b");
  const auto index = [&](const std::string& map) {
    write("model.safetensors.index.json", "{\"weight_map\":" + map + "}");
  };
  index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_EQ(model_error(), "accepted");
  index(R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"})");
  EXPECT_THAT(model_error(), HasSubstr("tensor 'c' is not there"));
  index(R"({"a":"one.safetensors","c":"two.safetensors"})");
  EXPECT_THAT(model_error(), HasSubstr("holds tensor 'b', which"));
  index(R"({"a":"one.safetensors","b":"three.safetensors"})");
  EXPECT_THAT(model_error(), HasSubstr("three.safetensors: No such file"));
  index(R"({"a":"../one.safetensors"})");
  EXPECT_THAT(model_error(), HasSubstr("not a file beside the index"));
  index(R"({"a":"one.safetensors","a":"two.safetensors"})");
  EXPECT_THAT(model_error(), HasSubstr("stands there twice"));
  index(R"([1])");
  EXPECT_THAT(model_error(), HasSubstr("'weight_map' is missing"));
  index(std::string(1 << 16, '['));
  EXPECT_THAT(model_error(), HasSubstr("nested deeper"));
  write_tensor("model.safetensors", "a");
  EXPECT_EQ(model_error(), "accepted");
}

TEST(SafetensorsShards, AreCutByTheRuleOfTransformers) {
  // Sizes 6, 6, 2, 6, 2, 2 at most 10: in order, none moved; 11 has a file of its own.
  std::vector<SafetensorsEntry> entries;
  for (const std::int64_t bytes : {6, 6, 2, 6, 2, 11, 2})
    entries.push_back({std::to_string(entries.size()), "U8", {bytes}});
  std::vector<std::string> cut;
  for (const SafetensorsShard& shard : cut_into_shards(entries, 10)) {
    std::string names = shard.file + ":";
    for (const SafetensorsEntry& entry : shard.entries) names += " " + entry.name;
    cut.push_back(names);
  }
  EXPECT_THAT(cut,
              testing::ElementsAre("model-00001-of-00004.safetensors: 0", "model-00002-of-00004.safetensors: 1 2",
                                   "model-00003-of-00004.safetensors: 5", "model-00004-of-00004.safetensors: 3 4 6"));
  EXPECT_EQ(cut_into_shards(entries, 35)[0].file, "model.safetensors");
}

TEST(SafetensorsValues, HalvesRoundToNearestEvenAndEveryOneIsExact) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const std::span<const std::byte> bytes = std::as_bytes(std::span(&half, 1));
    float bf16 = 0, f16 = 0;
    decode_floats(FloatType::kBf16, bytes, std::span(&bf16, 1));
    decode_floats(FloatType::kF16, bytes, std::span(&f16, 1));
    std::uint16_t back = 0;
    encode_floats(FloatType::kBf16, std::span(&bf16, 1), std::as_writable_bytes(std::span(&back, 1)));
    if (std::isnan(bf16))
      EXPECT_EQ(back, half | 0x40U);
    else
      EXPECT_EQ(back, half);
    // 2^(e-15) (1 + f/1024), or f 2^-24 below the normal ones.
    const int exponent = int(bits >> 10 & 0x1fU), fraction = int(bits & 0x3ffU);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(f16), fraction != 0);
      EXPECT_EQ(std::isinf(f16), fraction == 0);
    } else {
      const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      EXPECT_EQ(double(f16), bits >= 32768 ? -size : size);
    }
  }
  const auto rounded = [](float value) {
    std::uint16_t half = 0;
    encode_floats(FloatType::kBf16, std::span(&value, 1), std::as_writable_bytes(std::span(&half, 1)));
    return half;
  };
  EXPECT_EQ(rounded(0x1.01p0F), 0x3f80);                          // half way: to the even one below
  EXPECT_EQ(rounded(0x1.03p0F), 0x3f82);                          // half way: to the even one above
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), 0x7f80);  // to infinity
}

}  // namespace
}  // namespace stoa::checkpoint
