#include "stoa/base/durable_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "stoa/base/error.h"

namespace stoa {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* action, int error_number) {
  throw StorageError("{}: {} failed: {}", path.string(), action, errno_message(error_number));
}

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::filesystem::path parent_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// Length of `path` up to and including its last newline.
off_t whole_lines(int fd, const std::filesystem::path& path) {
  off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) fail(path, "seek", errno);
  char byte = 0;
  while (end > 0) {
    if (pread(fd, &byte, 1, end - 1) != 1) fail(path, "read", errno);
    if (byte == '\n') break;
    --end;
  }
  return end;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int FileDescriptor::release() { return std::exchange(fd_, -1); }

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(release());
}

FileDescriptor open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE))
    throw ResourceError("{}: open failed: {}; `ulimit -n` raises the limit", path.string(), errno_message(errno));
  if (fd < 0) fail(path, "open", errno);
  return FileDescriptor(fd);
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void sync_file(int fd, const std::filesystem::path& path) {
  if (::fsync(fd) != 0) fail(path, "fsync", errno);
}

void sync_directory(const std::filesystem::path& directory) {
  const FileDescriptor fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  sync_file(fd.get(), directory);
}

std::string read_text_file(const std::filesystem::path& path) {
  const FileDescriptor fd = open_file(path, O_RDONLY);
  std::string text;
  char part[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "read", errno);
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
  }
}

void write_file_durably(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path beside = path.string() + ".partial";
  try {
    const FileDescriptor fd = open_file(beside, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(fd.get(), as_bytes(text), beside);
    sync_file(fd.get(), beside);
  } catch (const StorageError&) {
    ::unlink(beside.c_str());
    throw;
  }
  rename_durably(beside, path);
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(from, ("rename to " + to.string()).c_str(), errno);
  sync_directory(parent_of(to));
}

void replace_symlink(const std::filesystem::path& link, const std::string& target) {
  const std::filesystem::path beside = link.string() + ".partial";
  ::unlink(beside.c_str());
  if (::symlink(target.c_str(), beside.c_str()) != 0) fail(beside, "symlink", errno);
  rename_durably(beside, link);
}

AppendFile::AppendFile(const std::filesystem::path& path)
    : path_(path), fd_(open_file(path, O_RDWR | O_CREAT | O_APPEND)) {
  if (::ftruncate(fd_.get(), whole_lines(fd_.get(), path_)) != 0) fail(path_, "truncate", errno);
}

void AppendFile::append(std::string_view line) {
  const std::string with_newline = std::string(line) + '\n';
  write_all(fd_.get(), as_bytes(with_newline), path_);
}

void AppendFile::sync() {
  if (::fdatasync(fd_.get()) != 0) fail(path_, "fdatasync", errno);
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const FileDescriptor fd = open_file(path, O_RDONLY);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail(path, "stat", errno);
  if (!S_ISREG(status.st_mode)) throw StorageError("{}: not a regular file", path.string());
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  address_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address_ == MAP_FAILED) {
    address_ = nullptr;
    fail(path, "mmap", errno);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::expect_random_reads() const {
  if (address_ != nullptr) ::madvise(address_, size_, MADV_RANDOM);
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

}  // namespace stoa
