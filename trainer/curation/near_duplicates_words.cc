#include "stoa/trainer/curation/near_duplicates_words.h"

namespace stoa::trainer {
namespace {

constexpr bool between(int value, int first, int last) { return value >= first && value <= last; }

// The full-width forms of ASCII punctuation, U+FF01.. and U+FF5B.., and the byte order mark.
constexpr bool is_full_width_punctuation(int second, int third) {
  if (second == 0xBC) return between(third, 0x81, 0x8F) || between(third, 0x9A, 0xA0) || third >= 0xBB;
  if (second == 0xBD) return third == 0x80 || between(third, 0x9B, 0xA5);
  return second == 0xBB && third == 0xBF;
}

}  // namespace

CodePointRole code_point_role(std::uint8_t first, std::uint8_t second, std::uint8_t third) {
  using enum CodePointRole;
  if (!between(second, 0x80, 0xBF) || (first >= 0xE0 && !between(third, 0x80, 0xBF))) return kPart;
  switch (first) {
    case 0xC2:  // U+0080..00BF: controls and punctuation of Latin-1
      return kSeparator;
    case 0xE0:  // U+0E00..0EFF: Thai and Lao
      return between(second, 0xB8, 0xBB) ? kWord : kPart;
    case 0xE1:  // U+1000..109F Myanmar, U+1780..17FF Khmer
      return between(second, 0x80, 0x81) || (second == 0x82 && third < 0xA0) || between(second, 0x9E, 0x9F) ? kWord
                                                                                                            : kPart;
    case 0xE2:  // U+2000..206F punctuation, U+2190..2BFF arrows, mathematics, boxes, symbols
      return second == 0x80 || (second == 0x81 && third < 0xB0) || (second == 0x86 && third >= 0x90) ||
                     between(second, 0x87, 0xAF)
                 ? kSeparator
                 : kPart;
    case 0xE3:  // U+3000..303F punctuation; from U+3040 Kana
      return second == 0x80 ? kSeparator : kWord;
    case 0xEF:
      return is_full_width_punctuation(second, third) ? kSeparator : kPart;
    case 0xF0:  // U+1F000..1FFFF emoji, U+20000.. Han
      return second >= 0x9F ? kWord : kPart;
    default:  // U+4000..9FFF: Han
      return kWord;
  }
}

}  // namespace stoa::trainer
