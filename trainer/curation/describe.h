#pragma once
/// Writes the data sheet and the Croissant description of a curated data set beside its files.
#include <filesystem>
#include <optional>
#include <vector>

#include "stoa/trainer/curation/croissant.h"
#include "stoa/trainer/curation/data_sheet.h"

namespace stoa::trainer {

inline constexpr const char* kDataSheetFile = "DATASHEET.md";
inline constexpr const char* kCroissantFile = "croissant.json";

/// The keys of the JSON object in the first line of a file (.jsonl, .ndjson, also .gz and .zst) that are text, numbers
/// or booleans; none where the file has no line or is no such file. DataError where there is no file or the line is no
/// object or longer than 256 MiB.
std::vector<CroissantField> croissant_fields(const std::filesystem::path& file);

/// Both files into `folder`, where the record's outputs lie, each by one rename. The fields are those of the first
/// output that has a line.
void write_description(const CurationRecord& record, const std::filesystem::path& folder,
                       const std::optional<TokenizedFacts>& tokenized = {});

}  // namespace stoa::trainer
