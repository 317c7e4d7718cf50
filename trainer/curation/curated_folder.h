#pragma once
/// The output of a curation: a folder of numbered parts with its record, whole or not there (base/new_folder.h).
#include <filesystem>
#include <memory>
#include <string_view>

#include "stoa/base/compress.h"
#include "stoa/base/new_folder.h"
#include "stoa/trainer/curation/curation_record.h"

namespace stoa::trainer {

class CuratedFolder {
 public:
  /// Errors as NewFolder's. REQUIRES: no gzip.
  CuratedFolder(const std::filesystem::path& folder, std::int64_t part_bytes, Compression compression);

  /// `line` without its newline. A part ends with the first line at which it has part_bytes or more.
  void add(std::string_view line);
  /// Ends the last part. No documents: no parts.
  std::vector<FileRecord> finish_parts();
  /// Where the files lie until they are published.
  const std::filesystem::path& path() const { return folder_.partial(); }
  void write_file(std::string_view name, std::string_view text);
  void publish() { folder_.publish(); }

 private:
  void end_part();

  NewFolder folder_;
  std::int64_t part_bytes_;
  std::string_view ending_;
  std::unique_ptr<OutputStream> part_;
  std::string part_name_;
  std::string buffer_;
  std::int64_t part_documents_ = 0, written_bytes_ = 0;
  std::vector<FileRecord> parts_;
};

}  // namespace stoa::trainer
