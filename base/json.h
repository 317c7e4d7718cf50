#pragma once
/// JSON of our own formats. Objects keep the order in which keys were written.
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace stoa {

using Json = nlohmann::ordered_json;

/// Parses one document. Nesting beyond 64 levels and anything malformed is a DataError "PLACE: line L, column C: ...".
Json parse_json(std::string_view text, std::string_view place);

/// `object.at(key)` of the asked type, or a DataError that names the place, the key and what stands there instead.
template <typename T>
T json_field(const Json& object, const char* key, std::string_view place);

[[noreturn]] void throw_json_field_error(const Json& object, const char* key, std::string_view place,
                                         const char* wanted);

}  // namespace stoa

#include "stoa/base/json_field.inc"
