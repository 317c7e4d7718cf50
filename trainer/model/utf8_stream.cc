#include "stoa/trainer/model/utf8_stream.h"

#include <algorithm>
#include <cstddef>

namespace stoa::trainer {
namespace {

/// Bytes of the character that this byte begins (RFC 3629); 1 for a byte that begins none.
std::size_t character_bytes(unsigned char lead) {
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0) return lead <= 0xef ? 3 : 1;
  return lead >= 0xc2 ? 2 : 1;
}

/// Bytes at the end of the text that begin a character and do not end it.
std::size_t begun_bytes(std::string_view text) {
  const std::size_t most = std::min<std::size_t>(3, text.size());
  for (std::size_t back = 1; back <= most; ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0U) == 0x80) continue;
    return character_bytes(byte) > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  const std::size_t begun = begun_bytes(held_);
  std::string shown = held_.substr(0, held_.size() - begun);
  held_.erase(0, held_.size() - begun);
  return shown;
}

}  // namespace stoa::trainer
