#pragma once
/// Numbers as they stand in a safetensors file, and as fp32.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace stoa::checkpoint {

enum class FloatType { kF32, kBf16, kF16 };

/// "F32", "BF16", "F16".
std::string_view safetensors_name(FloatType type);
/// Nothing for a dtype that does not become fp32 without loss.
std::optional<FloatType> float_type_named(std::string_view dtype);
std::int64_t float_type_bytes(FloatType type);

/// REQUIRES of both: bytes.size() == values.size() * float_type_bytes(type). Exact.
void decode_floats(FloatType type, std::span<const std::byte> bytes, std::span<float> values);
/// Rounds to nearest, ties to even; a NaN stays one. REQUIRES: type is kF32 or kBf16.
void encode_floats(FloatType type, std::span<const float> values, std::span<std::byte> bytes);

}  // namespace stoa::checkpoint
