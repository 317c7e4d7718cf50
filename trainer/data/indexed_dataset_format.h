#pragma once
/// The layout of Megatron's .idx and .bin (core/datasets/indexed_dataset.py), for the reader and the writer.
/// Little-endian, unaligned:
///   0        9 B   magic "MMIDIDX\0\0"
///   9        8 B   u64 version = 1
///   17       1 B   u8 type: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 6 f64, 7 f32, 8 u16
///   18       8 B   u64 S, sequences
///   26       8 B   u64 D, document boundaries (documents + 1)
///   34       4 S   i32 tokens of each sequence
///   34+4S    8 S   i64 byte offset of each sequence in .bin
///   34+12S   8 D   i64 boundaries as sequence numbers, from 0 to S
///   34+12S+8D  S   i8 modes, in multimodal data sets only
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::trainer::indexed {

static_assert(std::endian::native == std::endian::little, "the data set is mapped as it lies on disk");

inline constexpr std::string_view kMagic{"MMIDIDX\0\0", 9};
inline constexpr std::uint64_t kVersion = 1;
inline constexpr std::size_t kVersionAt = 9;
inline constexpr std::size_t kTypeAt = 17;
inline constexpr std::size_t kSequencesAt = 18;
inline constexpr std::size_t kBoundariesAt = 26;
inline constexpr std::size_t kHeaderBytes = 34;

inline constexpr int kInt32 = 4;
inline constexpr int kInt64 = 5;
inline constexpr int kUint16 = 8;
/// Megatron's choice: 16 bits hold the ids of a vocabulary smaller than this.
inline constexpr std::int64_t kSmallestWideVocabulary = 65500;

/// 0 for a type that holds no tokens.
constexpr std::int64_t token_bytes(int type) {
  switch (type) {
    case 1:
    case 2:
      return 1;
    case 3:
    case 8:
      return 2;
    case 4:
      return 4;
    case 5:
      return 8;
    default:
      return 0;
  }
}

/// "u16", "i32", ...
constexpr const char* type_name(int type) {
  constexpr const char* kNames[] = {"?", "u8", "i8", "i16", "i32", "i64", "f64", "f32", "u16"};
  return type >= 1 && type <= 8 ? kNames[type] : kNames[0];
}

template <typename T>
T value_at(const std::byte* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes + offset, sizeof value);
  return value;
}

/// `bytes` become the tokens as they lie in a .bin of elements T. REQUIRES: T holds them all.
template <typename T>
void store_as(std::span<const std::int32_t> tokens, std::vector<std::byte>& bytes) {
  bytes.resize(tokens.size() * sizeof(T));
  std::byte* to = bytes.data();
  for (const std::int32_t token : tokens) {
    const T value = static_cast<T>(token);
    std::memcpy(to, &value, sizeof value);
    to += sizeof value;
  }
}

inline std::filesystem::path with_ending(const std::filesystem::path& prefix, const char* ending) {
  return prefix.string() + ending;
}
inline std::filesystem::path index_path(const std::filesystem::path& prefix) { return with_ending(prefix, ".idx"); }
inline std::filesystem::path tokens_path(const std::filesystem::path& prefix) { return with_ending(prefix, ".bin"); }
inline std::filesystem::path checksums_path(const std::filesystem::path& prefix) {
  return with_ending(prefix, ".checksums.json");
}

}  // namespace stoa::trainer::indexed
