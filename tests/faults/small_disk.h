#pragma once
/// A disk that fills.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <utility>

namespace stoa::faults {

/// A file system of its own at `path`, seen by this process and its children alone.
class SmallDisk {
 public:
  /// nullptr where none can be mounted here. `size` as in "size=1m".
  static std::unique_ptr<SmallDisk> mount_at(const std::filesystem::path& path, const char* size) {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return nullptr;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("none", path.c_str(), "tmpfs", 0, size) != 0) return nullptr;
    return std::unique_ptr<SmallDisk>(new SmallDisk(path));
  }
  ~SmallDisk() { ::umount2(path_.c_str(), MNT_DETACH); }
  bool resize(const char* size) const { return ::mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, size) == 0; }

 private:
  explicit SmallDisk(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace stoa::faults
