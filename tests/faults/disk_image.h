#pragma once
/// An ext4 file system in a file, whose bytes can be copied as they are at a moment: what a disk holds when the power
/// fails.
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "stoa/base/durable_file.h"

namespace stoa::faults {

/// Runs `body` with a view of mounts of its own, and goes back: what is mounted inside goes away with it.
inline void in_own_mounts(const std::function<void()>& body) {
  // A thread, since a process of several threads cannot leave its view; the others keep theirs.
  std::exception_ptr failure;
  std::thread inside([&] {
    try {
      if (::unshare(CLONE_FS | CLONE_NEWNS) != 0) throw std::runtime_error("a view of mounts of its own needs root");
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  inside.join();
  if (failure) std::rethrow_exception(failure);
}

class DiskImage {
 public:
  /// A new one of so many MiB.
  DiskImage(const std::filesystem::path& path, int mib) : path_(path) {
    write_file_durably(image(), "");
    std::filesystem::resize_file(image(), std::uintmax_t(mib) << 20);
    const std::string command = "mke2fs -q -t ext4 -O ^metadata_csum -E lazy_itable_init=0 -m 0 '" + image() + "'";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("mke2fs failed");
    mount();
  }
  /// What the other one's disk holds now.
  DiskImage(const DiskImage& other, const std::filesystem::path& path) : path_(path) {
    std::filesystem::copy_file(other.image(), image(), std::filesystem::copy_options::overwrite_existing);
    mount();
  }
  DiskImage& operator=(const DiskImage&) = delete;
  ~DiskImage() {
    ::umount2(path_.c_str(), MNT_DETACH);
    ::unlink(image().c_str());
  }

  const std::filesystem::path& path() const { return path_; }
  void sync() const {
    const FileDescriptor folder = open_file(path_, O_RDONLY | O_DIRECTORY);
    ::syncfs(folder.get());
  }

 private:
  std::string image() const { return path_.string() + ".img"; }

  void mount() const {
    std::filesystem::create_directories(path_);
    const FileDescriptor control = open_file("/dev/loop-control", O_RDWR);
    for (int attempt = 0; attempt < 64; ++attempt) {
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) throw std::runtime_error("no loop device");
      const std::string device = "/dev/loop" + std::to_string(number);
      // Where nobody makes devices, as in a container.
      if (!std::filesystem::exists(device)) ::mknod(device.c_str(), S_IFBLK | 0600, makedev(7, unsigned(number)));
      const FileDescriptor loop = open_file(device, O_RDWR), file = open_file(image(), O_RDWR);
      loop_config config{};
      config.fd = static_cast<__u32>(file.get());
      config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
      if (::ioctl(loop.get(), LOOP_CONFIGURE, &config) != 0) continue;  // somebody else took it
      if (::mount(device.c_str(), path_.c_str(), "ext4", 0, "commit=300") != 0)
        throw std::runtime_error("mounting an image failed: " + errno_message(errno));
      return;
    }
    throw std::runtime_error("no loop device could be had");
  }

  std::filesystem::path path_;
};

}  // namespace stoa::faults
