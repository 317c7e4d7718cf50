#include "stoa/trainer/curation/curated_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr const char* kLockName = ".lock";
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

FileDescriptor lock_folder(const std::filesystem::path& partial) {
  std::error_code failure;
  std::filesystem::create_directories(partial, failure);
  if (failure) throw StorageError("{}: the folder cannot be made: {}", partial.string(), failure.message());
  FileDescriptor lock = open_file(partial / kLockName, O_CREAT | O_RDWR);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) throw ResourceError("{}: another process is writing it", partial.string());
  throw StorageError("{}: cannot be locked: {}", partial.string(), errno_message(errno));
}

void clear_folder(const std::filesystem::path& partial) {
  for (const auto& entry : std::filesystem::directory_iterator(partial))
    if (entry.path().filename() != kLockName) std::filesystem::remove_all(entry.path());
}

}  // namespace

CuratedFolder::CuratedFolder(const std::filesystem::path& folder, std::int64_t part_bytes)
    : folder_(folder), partial_(folder.string() + ".partial"), part_bytes_(part_bytes) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(folder_, ignored)))
    throw StorageError("{}: is there already; remove it or choose another output", folder_.string());
  lock_ = lock_folder(partial_);
  clear_folder(partial_);
}

CuratedFolder::~CuratedFolder() {
  if (is_published_) return;
  part_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(partial_, ignored);
}

void CuratedFolder::add(std::string_view line) {
  if (!part_) {
    part_name_ = fmt::format("part-{:05}.jsonl.zst", parts_.size());
    part_ = std::make_unique<OutputStream>(partial_ / part_name_);
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
  const std::filesystem::path path = partial_ / part_name_;
  parts_.push_back({.path = part_name_,
                    .size_bytes = static_cast<std::int64_t>(std::filesystem::file_size(path)),
                    .sha256 = sha256_of_file(path),
                    .documents = part_documents_});
  part_documents_ = written_bytes_ = 0;
}

std::vector<FileRecord> CuratedFolder::finish_parts() {
  end_part();
  return parts_;
}

void CuratedFolder::write_file(std::string_view name, std::string_view text) {
  write_file_durably(partial_ / name, text);
}

void CuratedFolder::publish() {
  sync_directory(partial_);
  std::filesystem::remove(partial_ / kLockName);
  if (::rename(partial_.c_str(), folder_.c_str()) != 0)
    throw StorageError("{}: cannot be renamed to {}: {}", partial_.string(), folder_.string(), errno_message(errno));
  is_published_ = true;
  sync_directory(folder_.has_parent_path() ? folder_.parent_path() : ".");
}

}  // namespace stoa::trainer
