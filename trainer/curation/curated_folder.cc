#include "stoa/trainer/curation/curated_folder.h"

#include <fmt/format.h>

#include "stoa/base/checksum.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

}  // namespace

CuratedFolder::CuratedFolder(const std::filesystem::path& folder, std::int64_t part_bytes, Compression compression)
    : folder_(folder), part_bytes_(part_bytes), ending_(compression == Compression::kZstd ? ".zst" : "") {}

void CuratedFolder::add(std::string_view line) {
  if (!part_) {
    part_name_ = fmt::format("part-{:05}.jsonl{}", parts_.size(), ending_);
    part_ = std::make_unique<OutputStream>(path() / part_name_);
  }
  buffer_ += line;
  buffer_ += '\n';
  ++part_documents_;
  const bool is_full = written_bytes_ + static_cast<std::int64_t>(buffer_.size()) >= part_bytes_;
  if (is_full || buffer_.size() >= kBufferBytes) {
    part_->write(buffer_);
    written_bytes_ += static_cast<std::int64_t>(buffer_.size());
    buffer_.clear();
  }
  if (is_full) end_part();
}

void CuratedFolder::end_part() {
  if (!part_) return;
  if (!buffer_.empty()) part_->write(buffer_);
  buffer_.clear();
  part_->finish();
  part_.reset();
  const std::filesystem::path part = path() / part_name_;
  parts_.push_back({.path = part_name_,
                    .size_bytes = static_cast<std::int64_t>(std::filesystem::file_size(part)),
                    .sha256 = sha256_of_file(part),
                    .documents = part_documents_});
  part_documents_ = written_bytes_ = 0;
}

std::vector<FileRecord> CuratedFolder::finish_parts() {
  end_part();
  return parts_;
}

void CuratedFolder::write_file(std::string_view name, std::string_view text) {
  write_file_durably(path() / name, text);
}

}  // namespace stoa::trainer
