#pragma once
/// Where pre-tokens begin in 64 bytes of text at once, by arithmetic on one bit for each byte, the first byte's the
/// lowest; for tokenizer_split.cc, whose patterns these rules are. Only for processors with SSE2, all of x86-64.
#include <bit>
#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#define STOA_SPLIT_BITS 1
#else
#define STOA_SPLIT_BITS 0
#endif

namespace stoa::trainer {

/// Classes of the ASCII bytes at the begin of 64. Bytes from the first that is not ASCII on are in no class.
struct AsciiBits {
  std::uint64_t letters = 0;
  std::uint64_t numbers = 0;
  std::uint64_t spaces = 0;  ///< of any kind
  std::uint64_t line_ends = 0;
  std::uint64_t blanks = 0;
  std::uint64_t apostrophes = 0;
  std::uint64_t all = 0;

  std::uint64_t others() const { return all & ~(letters | numbers | spaces); }

  /// Bits of the bytes whose begin or not does not depend on what follows. REQUIRES: there are bytes.
  std::uint64_t decided() const {
    const int size = 64 - std::countl_zero(all);
    const int spaces_at_end = std::countl_one(spaces << (64 - size));
    return ~std::uint64_t{0} >> (63 - (spaces_at_end > 0 ? size - spaces_at_end : size - 1));
  }
};

constexpr std::uint64_t after(std::uint64_t bits) { return bits << 1; }
constexpr std::uint64_t before(std::uint64_t bits) { return bits >> 1; }
constexpr std::uint64_t first_of_runs(std::uint64_t bits) { return bits & ~after(bits); }

/// All of these take the bits of text that begins with a pre-token, and give bits of the bytes with which one begins,
/// right where decided(). contraction(at) is the length of the contraction at the apostrophe, or 0.
template <typename Contraction>
std::uint64_t gpt2_begins(const AsciiBits& text, Contraction contraction) {
  const std::uint64_t others = text.others();
  const std::uint64_t runs = first_of_runs(text.letters) | first_of_runs(text.numbers) | first_of_runs(others);
  std::uint64_t begins =
      (runs & ~after(text.blanks)) | first_of_runs(text.spaces) | (text.spaces & ~before(text.spaces));
  std::uint64_t quotes = text.apostrophes & ~after(text.blanks | others) & before(text.letters);
  for (; quotes != 0; quotes &= quotes - 1) {
    const int at = std::countr_zero(quotes);
    if (const std::size_t length = contraction(static_cast<std::size_t>(at)))
      begins = (begins & ~(std::uint64_t{2} << at)) | std::uint64_t{1} << length << at;
  }
  return begins;
}

/// Of runs of spaces that are not a line end and come after one: those that another line end does not follow.
inline std::uint64_t begins_after_line_ends(const AsciiBits& text) {
  const std::uint64_t inner = text.spaces & ~text.line_ends;
  std::uint64_t begins = inner & after(text.line_ends);
  // The sum carries each of those runs to the byte after it.
  for (std::uint64_t ends = (begins + inner) & ~inner & text.line_ends; ends != 0; ends &= ends - 1) {
    const std::uint64_t earlier = begins & ((ends & -ends) - 1);
    begins &= ~(std::uint64_t{1} << (63 - std::countl_zero(earlier)));
  }
  return begins;
}

template <typename Contraction>
std::uint64_t llama3_begins(const AsciiBits& text, Contraction contraction) {
  const std::uint64_t others = text.others();
  const std::uint64_t inner = text.spaces & ~text.line_ends;
  const std::uint64_t other_runs = first_of_runs(others) & ~after(text.blanks);
  const std::uint64_t with_word = other_runs & before(text.letters);  // One character before a word.
  const std::uint64_t number_runs = first_of_runs(text.numbers);
  // Line ends directly after others are theirs; the sum carries such runs out of the bits.
  const std::uint64_t taken = text.line_ends & ~(text.line_ends + (text.line_ends & after(others)));
  std::uint64_t begins = (first_of_runs(text.letters) & ~after(inner | with_word)) | other_runs | number_runs |
                         first_of_runs(text.spaces & ~taken) | (inner & ~before(text.spaces)) |
                         begins_after_line_ends(text);
  const std::uint64_t two = text.numbers & after(text.numbers);
  const std::uint64_t four = two & after(after(two));
  for (std::uint64_t cuts = number_runs << 3 & four; cuts != 0; cuts = cuts << 3 & four) begins |= cuts;
  for (std::uint64_t quotes = text.apostrophes & with_word; quotes != 0; quotes &= quotes - 1) {
    const int at = std::countr_zero(quotes);
    if (const std::size_t length = contraction(static_cast<std::size_t>(at)))
      begins |= std::uint64_t{1} << length << at;
  }
  return begins;
}

#if STOA_SPLIT_BITS
/// REQUIRES: 64 bytes can be read.
inline AsciiBits ascii_bits(const char* text) {
  AsciiBits bits;
  std::uint64_t above = 0;
  for (int i = 0; i < 64; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + i));
    const auto is = [&](char wanted) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted)); };
    const auto between = [](__m128i value, char first, char last) {
      return _mm_and_si128(_mm_cmpgt_epi8(value, _mm_set1_epi8(static_cast<char>(first - 1))),
                           _mm_cmplt_epi8(value, _mm_set1_epi8(static_cast<char>(last + 1))));
    };
    const auto put = [i](std::uint64_t& into, __m128i value) {
      into |= static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(value))) << i;
    };
    put(bits.letters, between(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z'));
    put(bits.numbers, between(bytes, '0', '9'));
    put(bits.spaces, _mm_or_si128(is(' '), between(bytes, '\t', '\r')));
    put(bits.line_ends, _mm_or_si128(is('\n'), is('\r')));
    put(bits.blanks, is(' '));
    put(bits.apostrophes, is('\''));
    put(above, bytes);
  }
  bits.all = above == 0 ? ~std::uint64_t{0} : (above & -above) - 1;
  for (std::uint64_t* one :
       {&bits.letters, &bits.numbers, &bits.spaces, &bits.line_ends, &bits.blanks, &bits.apostrophes})
    *one &= bits.all;
  return bits;
}
#endif

}  // namespace stoa::trainer
