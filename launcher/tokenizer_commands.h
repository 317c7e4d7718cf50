#pragma once
/// What `stoa tokenizer encode | decode | show` do. "-" as a file is standard input.
#include <cstdio>
#include <string>
#include <vector>

#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {

/// How token ids are written: a line of decimal numbers for each input, or int32 in little-endian order, one input's
/// after the other's.
enum class IdFormat { kText, kBinary };

void encode_files(const trainer::Tokenizer& tokenizer, const std::vector<std::string>& files, IdFormat format,
                  trainer::AddedTokens added, std::FILE* out);
/// Writes the bytes of the tokens. DataError for what is no id, with its place.
void decode_file(const trainer::Tokenizer& tokenizer, const std::string& file, IdFormat format, std::FILE* out);
/// Kind, size, special tokens and fingerprint, for people; or the tokenizer.json that Stoa writes.
enum class ShowAs { kSummary, kJson };
void show_tokenizer(const trainer::Tokenizer& tokenizer, ShowAs as, std::FILE* out);

}  // namespace stoa::launcher
