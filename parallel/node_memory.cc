#include "stoa/parallel/node_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kPage = 4096;

[[noreturn]] void throw_no_memory(std::size_t size, int error_number) {
  throw ResourceError("this node gives no {} of memory to share between its ranks: {}",
                      format_bytes(static_cast<double>(size)), errno_message(error_number));
}

}  // namespace

NodePages& NodePages::operator=(NodePages&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

NodePages::~NodePages() {
  if (address_ != nullptr) munmap(address_, size_);
}

NodeMemory::NodeMemory(FileDescriptor file, std::size_t size) : file_(std::move(file)), size_(size) {
  void* const address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (address == MAP_FAILED) return;
  address_ = static_cast<std::byte*>(address);
  madvise(address_, size, MADV_HUGEPAGE);
}

NodeMemory NodeMemory::create(std::size_t size) {
  FileDescriptor file(memfd_create("stoa", MFD_CLOEXEC));
  if (!file || ftruncate(file.get(), static_cast<off_t>(size)) != 0) throw_no_memory(size, errno);
  NodeMemory memory(std::move(file), size);
  if (memory.address_ == nullptr) throw_no_memory(size, errno);
  return memory;
}

std::optional<NodeMemory> NodeMemory::attach(const NodeMemoryName& name) {
  const std::string path = fmt::format("/proc/{}/fd/{}", name.process, name.descriptor);
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0) return std::nullopt;
  // In another process-id namespace the same number is another process.
  if (status.st_dev != name.device || status.st_ino != name.inode) return std::nullopt;
  NodeMemory memory(std::move(file), name.size);
  if (memory.address_ == nullptr) return std::nullopt;
  return memory;
}

NodeMemory::NodeMemory(NodeMemory&& other) noexcept
    : file_(std::move(other.file_)),
      address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

NodeMemory& NodeMemory::operator=(NodeMemory&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

NodeMemory::~NodeMemory() {
  if (address_ != nullptr) munmap(address_, size_);
}

NodeMemoryName NodeMemory::name() const {
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) throw InternalError("shared memory of this node: {}", errno_message(errno));
  return {
      .process = getpid(), .descriptor = file_.get(), .device = status.st_dev, .inode = status.st_ino, .size = size_};
}

// Unlike ftruncate it cannot cut off what another rank has added meanwhile, and a lack of memory shows here.
bool NodeMemory::extend(std::size_t begin, std::size_t size) const {
  int result = 0;
  do {
    result = fallocate(file_.get(), 0, static_cast<off_t>(begin), static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

NodePages NodeMemory::map(std::size_t begin, std::size_t size) const {
  void* const address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), static_cast<off_t>(begin));
  if (address == MAP_FAILED) throw_no_memory(size, errno);
  return {static_cast<std::byte*>(address), size};
}

void NodeMemory::give_back(std::size_t begin, std::size_t size) const {
  // A system that cannot keeps them until the end of the group.
  static_cast<void>(fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                              static_cast<off_t>(size)));
}

bool NodeMemory::populate(std::size_t begin, std::size_t size) {
#if defined(MADV_POPULATE_WRITE)
  if (size == 0 || madvise(address_ + begin, size, MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
#endif
  // Older kernels: a write to each page. The memory is new, so a zero changes nothing.
  for (std::size_t at = begin; at < begin + size; at += kPage)
    *static_cast<volatile std::byte*>(address_ + at) = std::byte{0};
  return true;
}

}  // namespace stoa::parallel
