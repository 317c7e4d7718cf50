#pragma once
/// Lines of JSON for documents: a new object, or an old one with another text in it and everything else byte for byte.
#include <string>
#include <string_view>

namespace stoa::trainer {

/// Appends `text` as a JSON string with its quotes. REQUIRES: valid UTF-8.
void append_json_string(std::string& line, std::string_view text);

/// {"text": ...}
std::string json_line(std::string_view field, std::string_view text);

/// `object` with the value of `field` replaced. REQUIRES: what ChunkDocuments accepts: a valid object with one string
/// under `field`. InternalError where it is not found.
std::string json_line_with(std::string_view object, std::string_view field, std::string_view text);

}  // namespace stoa::trainer
