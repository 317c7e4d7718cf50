#pragma once
/// Files that survive a crash, and the owners of descriptors and mappings. Every failure is a StorageError that names
/// the path and the system's reason. No function here follows a partial result: a file is either the old or the new
/// one.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace stoa {

/// Move-only owner of a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC. StorageError; ResourceError where this process or machine has too many files open.
FileDescriptor open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644);

/// All of `bytes`, however many write(2) calls that takes. `path` is for the message.
void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path);
void sync_file(int fd, const std::filesystem::path& path);
/// fsync of a directory: makes a rename or a new name in it durable.
void sync_directory(const std::filesystem::path& directory);

std::string read_text_file(const std::filesystem::path& path);
/// Writes beside `path`, fsyncs, renames over it, fsyncs the directory. A crash leaves the old file or the new one.
void write_file_durably(const std::filesystem::path& path, std::string_view text);
/// rename(2) and fsync of the parent directory.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
/// `link` -> `target` (a plain sibling name), replaced by one rename.
void replace_symlink(const std::filesystem::path& link, const std::string& target);

/// An append-only file of lines: each append is one write(2) of whole lines. A torn last line (a crash) is cut off when
/// it is opened again.
class AppendFile {
 public:
  explicit AppendFile(const std::filesystem::path& path);
  /// `line` without its newline.
  void append(std::string_view line);
  /// fdatasync.
  void sync();

 private:
  std::filesystem::path path_;
  FileDescriptor fd_;
};

/// A whole file mapped read-only. An empty file maps to an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(address_), size_}; }
  std::string_view text() const { return {static_cast<const char*>(address_), size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// madvise(2): no reading ahead of what is touched. Only the speed changes.
  void expect_random_reads() const;

 private:
  std::filesystem::path path_;
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace stoa
