#pragma once
/// Curation: documents of many files go through named steps, and a record says what became of them. `stoa data curate`
/// calls it.
///
/// Documents stream through in bounded memory (four chunks of 1 MiB, or of one larger document, for each thread, and
/// about 110 bytes for each document and step in them), the sets that find duplicates aside. Steps that look at one
/// document run on all threads; what depends on the order of documents is done in that order. Output and record depend
/// on recipe and sources alone, not on the number of threads; `created` is the one exception.
#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/trainer/curation/curation_record.h"
#include "stoa/trainer/curation/curation_settings.h"

namespace stoa::trainer {

enum class CurationMode {
  kWrite,
  kDryRun  ///< everything but writing
};

/// Writes OUTPUT/part-00000.jsonl.zst (or .jsonl), ..., record.json, DATASHEET.md and croissant.json, whole or not at
/// all. A line of JSON keeps its fields and its bytes except for the text where a step changed it; a document of a text
/// file becomes {"text": ...}. Where OUTPUT was made by the same recipe, its record is returned and nothing done; where
/// it was made otherwise, StorageError. A progress line each two seconds, then the processor time of each step and the
/// memory of the sets. DataError as in text_chunks.h. REQUIRES: check_curation found nothing; threads >= 1.
CurationRecord curate(const CurationSettings& settings, int threads, CurationMode mode, Log& log, const Clock& clock);

/// A table for people: documents and bytes in and out of each step, and its reasons.
std::string curation_summary(const CurationRecord& record);

}  // namespace stoa::trainer
