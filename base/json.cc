#include "stoa/base/json.h"

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa {
namespace {

constexpr int kDeepest = 64;

std::string position(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return fmt::format("line {}, column {}", line, std::max<std::size_t>(column, 1));
}

}  // namespace

Json parse_json(std::string_view text, std::string_view place) {
  const auto refuse_deep = [&](int depth, Json::parse_event_t, Json&) -> bool {
    if (depth > kDeepest) throw DataError("{}: nested deeper than {} levels", place, kDeepest);
    return true;
  };
  try {
    return Json::parse(text, refuse_deep);
  } catch (const nlohmann::json::parse_error& failure) {
    throw DataError("{}: {}: not valid JSON", place, position(text, failure.byte));
  } catch (const nlohmann::json::exception& failure) {
    throw DataError("{}: not valid JSON ({})", place, failure.what());
  }
}

void throw_json_field_error(const Json& object, const char* key, std::string_view place, const char* wanted) {
  if (!object.is_object())
    throw DataError("{}: expected an object with '{}', found {}", place, key, object.type_name());
  if (!object.contains(key)) throw DataError("{}: '{}' is missing ({} is expected)", place, key, wanted);
  const std::string found = object.at(key).dump(-1, ' ', false, Json::error_handler_t::replace);
  throw DataError("{}: '{}' must be {}, found {}", place, key, wanted, found.substr(0, 80));
}

}  // namespace stoa
