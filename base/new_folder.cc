#include "stoa/base/new_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "stoa/base/error.h"

namespace stoa {
namespace {

namespace fs = std::filesystem;

/// Without the slash that people end a folder's name with.
fs::path plain(const fs::path& path) {
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

void refuse_existing(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(path, ignored)))
    throw UsageError("{}: is there already; nothing is replaced: give another name or remove it", path.string());
}

/// Whether the name still means the open folder: its writer may just have published or removed it.
bool stands_at(int fd, const fs::path& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

}  // namespace

NewFolder::NewFolder(fs::path path) : path_(plain(path)), partial_(path_.string() + ".partial") {
  refuse_existing(path_);
  std::error_code error;
  fs::create_directories(partial_, error);
  if (error) throw StorageError("{}: creating the folder failed: {}", partial_.string(), error.message());
  lock_ = open_file(partial_, O_RDONLY | O_DIRECTORY);
  const bool is_locked = ::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0;
  if (!is_locked && errno != EWOULDBLOCK)
    throw StorageError("{}: cannot be locked: {}", partial_.string(), errno_message(errno));
  if (!is_locked || !stands_at(lock_.get(), partial_))
    throw ResourceError("{}: another process is writing it", partial_.string());
  for (const fs::directory_entry& left : fs::directory_iterator(partial_)) fs::remove_all(left.path());
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (lock_) fs::remove_all(partial_, ignored);
}

void NewFolder::publish() {
  refuse_existing(path_);
  sync_directory(partial_);
  rename_durably(partial_, path_);
  lock_.reset();
}

}  // namespace stoa
