#pragma once
/// The safetensors format (github.com/huggingface/safetensors): 8 bytes little-endian length N of the header, N bytes
/// of JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}, then the data, which the
/// tensors fill in order of their offsets without hole or overlap. Nothing of a header is believed before it is
/// checked.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::checkpoint {

/// As in the reference implementation.
inline constexpr std::int64_t kMostSafetensorsHeaderBytes = 100'000'000;

/// One tensor of a file.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< "F32", "BF16", ...: any that the format knows
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;  ///< of its bytes, counted from the first byte of the data
  std::int64_t bytes = 0;

  std::int64_t elements() const;
};

/// Bits of one element, 0 for a dtype that the format does not know.
std::int64_t safetensors_dtype_bits(std::string_view dtype);

/// The tensors of a file whose data has `data_bytes` bytes, in order of their offsets. DataError "PLACE: ..." that
/// names the tensor where anything is not as the format says. Reads by events: allocates a few times the text's size at
/// most, whatever stands in it.
std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, std::int64_t data_bytes,
                                                       std::string_view place);

/// The first bytes of a file with these tensors one after the other: length and header, padded with spaces so that
/// the data begins at a multiple of 4096. Fills in `begin` and `bytes`.
std::string format_safetensors_header(std::vector<SafetensorsEntry>& entries);

}  // namespace stoa::checkpoint
