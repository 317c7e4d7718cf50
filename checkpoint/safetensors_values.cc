#include "stoa/checkpoint/safetensors_values.h"

#include <bit>
#include <cstring>

namespace stoa::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// Without a branch, so that it runs at the speed of vectors.
std::uint16_t to_bf16(std::uint32_t bits) {
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40U;
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}

/// IEEE 754 binary16: 5 bits of exponent, 10 of fraction.
float from_f16(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000U} << 16;
  const std::uint32_t exponent = half >> 10 & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float subnormal = static_cast<float>(fraction) * 0x1p-24F;
  return sign != 0 ? -subnormal : subnormal;
}

template <typename Convert>
void each_half(std::span<const std::byte> bytes, std::span<float> values, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values[i] = convert(half);
  }
}

}  // namespace

std::string_view safetensors_name(FloatType type) {
  return type == FloatType::kF32 ? "F32" : type == FloatType::kBf16 ? "BF16" : "F16";
}

std::optional<FloatType> float_type_named(std::string_view dtype) {
  for (const FloatType type : {FloatType::kF32, FloatType::kBf16, FloatType::kF16})
    if (safetensors_name(type) == dtype) return type;
  return std::nullopt;
}

std::int64_t float_type_bytes(FloatType type) { return type == FloatType::kF32 ? 4 : 2; }

void decode_floats(FloatType type, std::span<const std::byte> bytes, std::span<float> values) {
  if (type == FloatType::kF32) {
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size_bytes());
  } else if (type == FloatType::kBf16) {
    each_half(bytes, values, from_bf16);
  } else {
    each_half(bytes, values, from_f16);
  }
}

void encode_floats(FloatType type, std::span<const float> values, std::span<std::byte> bytes) {
  if (type == FloatType::kF32) {
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size_bytes());
    return;
  }
  // Bit patterns by memcpy: the compiler makes plain loads and stores of it.
  const float* from = values.data();
  std::byte* to = bytes.data();
  for (std::size_t i = 0, count = values.size(); i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, from + i, 4);
    const std::uint16_t half = to_bf16(bits);
    std::memcpy(to + 2 * i, &half, 2);
  }
}

}  // namespace stoa::checkpoint
