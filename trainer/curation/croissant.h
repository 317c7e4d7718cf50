#pragma once
/// The description of a curated data set in Croissant 1.0 (http://mlcommons.org/croissant/1.0, JSON-LD), with the
/// fields of its extension for responsible AI (http://mlcommons.org/croissant/RAI/1.0) that the record proves: what was
/// done to the data and what was done about personal data.
#include <string>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/trainer/curation/curation_record.h"

namespace stoa::trainer {

/// A key of the JSON object that a line of the output is.
struct CroissantField {
  std::string name;
  std::string description;
  std::string data_type = "sc:Text";  ///< or sc:Integer, sc:Float, sc:Boolean, sc:URL
};

/// The files are named relative to the description's own folder, each with its size and sha256. What the recipe states
/// (DataSetFacts of curation_settings.h) is taken from it; what it does not is left out (but for a description, which
/// then tells the counts), and Croissant's validator names it in its warnings. The same record gives the same bytes.
///
/// Files ending in .jsonl and .jsonl.gz are also read by mlcroissant's loader; .jsonl.zst is described with both media
/// types (application/jsonlines, application/zstd) and accepted by the validator, but its loader knows no zstd.
Json croissant_description(const CurationRecord& record, const std::vector<CroissantField>& fields);

/// The file's text: in lines, with a newline at the end.
std::string croissant_text(const CurationRecord& record, const std::vector<CroissantField>& fields);

}  // namespace stoa::trainer
