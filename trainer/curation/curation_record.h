#pragma once
/// What a curation did, step by step, with proof: the record that `stoa data curate` leaves beside its output and from
/// which the data sheet and the Croissant description are made. JSON on disk (record.json), version 1.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/json.h"

namespace stoa::trainer {

/// A file that was read or written.
struct FileRecord {
  std::string path;  ///< as given; of an output: relative to the record's folder
  std::int64_t size_bytes = 0;
  std::string sha256;
  std::int64_t documents = 0;
};

/// One document that a step dropped or changed, for a person to judge the step by.
struct DocumentSample {
  std::string file;
  std::int64_t line = 0;  ///< where the document begins in the file
  std::string reason;     ///< a key of StepRecord::reasons
  std::string excerpt;    ///< its first characters or those around the first change, valid UTF-8
};

/// One named, versioned step: the same name, version and settings on the same input do the same in every release.
struct StepRecord {
  std::string name;
  std::int64_t version = 1;
  Json settings;
  std::int64_t documents_in = 0, documents_dropped = 0, documents_changed = 0;
  std::int64_t bytes_in = 0, bytes_out = 0;      ///< of text
  std::map<std::string, std::int64_t> reasons;   ///< documents dropped or changed, by reason
  std::map<std::string, std::int64_t> replaced;  ///< places in texts that were replaced or removed, by reason
  std::vector<DocumentSample> samples;           ///< chosen by a keyed hash of the document, not the first ones
};

struct CurationRecord {
  std::string name;     ///< of the recipe
  std::string created;  ///< RFC 3339, UTC
  std::string stoa_version;
  Json recipe;  ///< the whole recipe with every default
  std::vector<FileRecord> sources;
  std::vector<StepRecord> steps;  ///< in the order in which they ran
  std::vector<FileRecord> outputs;
  std::int64_t documents = 0, bytes = 0;  ///< that remain
  std::map<std::string, std::int64_t>
      languages;  ///< documents that remain, by ISO 639-1 code; empty where not looked at
};

Json record_json(const CurationRecord& record);
/// The file's text: record_json in lines, with a newline at the end.
std::string record_text(const CurationRecord& record);
/// DataError "PLACE: ..." where anything is missing, of another type or of another version.
CurationRecord parse_record(std::string_view json, std::string_view place);

}  // namespace stoa::trainer
