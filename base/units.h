#pragma once
/// Quantities as people read them. The numbers behind them stay integers or doubles with the unit in the name.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoa {

/// "512 B", "1.5 KiB", "3.2 GiB": powers of 1024.
std::string format_bytes(double bytes);
/// "5GB", "512 MiB", "100": whole numbers of B, KB, MB, GB, TB (powers of 1000) or KiB, ... (powers of 1024). Nothing
/// for any other text, for zero, and beyond 2^62.
std::optional<std::int64_t> parse_bytes(std::string_view text);
/// "950", "12.3 k", "124 M", "6.9 G": powers of 1000, three significant digits.
std::string format_count(double count);
/// "0.8 s", "59 s", "4 min 05 s", "3 h 12 min", "2 d 04 h".
std::string format_duration(double seconds);
/// "1,234,567"
std::string format_grouped(std::int64_t number);

}  // namespace stoa
