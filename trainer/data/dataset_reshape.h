#pragma once
/// Data sets made of others: `stoa data merge` and `stoa data split`. Sequences and documents keep their boundaries,
/// and tokens of one type are copied byte for byte, as Megatron's own merge does. Each result is published by rename,
/// whole and with checksums. Inputs with checksums are compared with them first, so that damage is not copied. A
/// progress line each 2 seconds. DataError where an input is wrong or has modes (multimodal).
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/log.h"

namespace stoa::trainer {

struct ReshapedDataset {
  std::filesystem::path prefix;
  int type = 0;
  std::int64_t documents = 0;
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;
};

/// Of different types of tokens, the result has the smallest of u16, i32 and i64 that holds them all. REQUIRES: inputs
/// are not empty.
ReshapedDataset merge_datasets(std::span<const std::filesystem::path> inputs, const std::filesystem::path& out,
                               int threads, Log& log);

/// Where a data set of these documents (first token of each, and the end) is cut: entries are numbers of documents,
/// from 0 to all. `shares` are of the tokens and positive; each cut is at the boundary nearest to its share. UsageError
/// where a part would have no document.
std::vector<std::int64_t> cuts_by_tokens(std::span<const std::int64_t> document_begins, std::span<const double> shares);
std::vector<std::int64_t> cuts_by_documents(std::int64_t documents, std::int64_t each);

/// The documents between two cuts become OUT-00000-of-00003 and so on.
std::vector<std::filesystem::path> names_of_parts(const std::filesystem::path& out, std::size_t parts);
std::vector<ReshapedDataset> split_dataset(const std::filesystem::path& input, const std::filesystem::path& out,
                                           std::span<const std::int64_t> cuts, int threads, Log& log);

}  // namespace stoa::trainer
