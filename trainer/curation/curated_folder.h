#pragma once
/// The output of a curation: a folder of numbered parts with its record, whole or not there. It is written as
/// FOLDER.partial, which another process cannot write at the same time, and becomes FOLDER by one rename; what a killed
/// run left in FOLDER.partial is removed by the next one.
#include <filesystem>
#include <memory>
#include <string_view>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/trainer/curation/curation_record.h"

namespace stoa::trainer {

class CuratedFolder {
 public:
  /// StorageError where FOLDER is there already or cannot be made; ResourceError where another process writes it.
  CuratedFolder(const std::filesystem::path& folder, std::int64_t part_bytes);
  /// Removes FOLDER.partial, unless published.
  ~CuratedFolder();
  CuratedFolder(const CuratedFolder&) = delete;
  CuratedFolder& operator=(const CuratedFolder&) = delete;

  /// `line` without its newline. A part ends with the first line at which it has part_bytes or more.
  void add(std::string_view line);
  /// Ends the last part. No documents: no parts.
  std::vector<FileRecord> finish_parts();
  /// Where the files lie until they are published.
  const std::filesystem::path& path() const { return partial_; }
  void write_file(std::string_view name, std::string_view text);
  void publish();

 private:
  void end_part();

  std::filesystem::path folder_, partial_;
  std::int64_t part_bytes_;
  FileDescriptor lock_;
  std::unique_ptr<OutputStream> part_;
  std::string part_name_;
  std::string buffer_;
  std::int64_t part_documents_ = 0, written_bytes_ = 0;
  std::vector<FileRecord> parts_;
  bool is_published_ = false;
};

}  // namespace stoa::trainer
