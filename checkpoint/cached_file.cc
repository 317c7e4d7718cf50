#include "stoa/checkpoint/cached_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <mutex>
#include <span>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"

namespace stoa::checkpoint {
namespace {

/// Where this thread goes on when memory that it reads cannot be read.
thread_local sigjmp_buf* landing = nullptr;
struct sigaction previous {};

void on_bus_error(int signal, siginfo_t*, void*) {
  if (landing != nullptr) siglongjmp(*landing, 1);
  ::sigaction(signal, &previous, nullptr);  // the instruction comes again, and with it the signal
}

void catch_bus_errors() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  });
}

}  // namespace

CachedFile::CachedFile(int fd, std::int64_t bytes, const std::filesystem::path& path)
    : bytes_(static_cast<std::size_t>(bytes)) {
  catch_bus_errors();
  begin_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0);
  if (begin_ == MAP_FAILED) throw ResourceError("{}: mapping it failed: {}", path.string(), errno_message(errno));
}

CachedFile::~CachedFile() { ::munmap(begin_, bytes_); }

bool CachedFile::is_cached(std::int64_t offset, std::int64_t bytes) const {
  const std::int64_t page_bytes = ::sysconf(_SC_PAGESIZE);
  const std::int64_t first = offset / page_bytes * page_bytes;
  std::vector<unsigned char> pages(static_cast<std::size_t>((offset + bytes - first + page_bytes - 1) / page_bytes));
  const auto length = static_cast<std::size_t>(offset + bytes - first);
  if (::mincore(static_cast<std::byte*>(begin_) + first, length, pages.data()) != 0) return true;
  return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1) != 0; });
}

std::optional<std::uint64_t> CachedFile::xxh3_64(std::int64_t offset, std::int64_t bytes) const {
  const std::span<const std::byte> part(static_cast<const std::byte*>(begin_) + offset,
                                        static_cast<std::size_t>(bytes));
  sigjmp_buf here;
  if (sigsetjmp(here, 1) != 0) {
    landing = nullptr;
    return std::nullopt;
  }
  landing = &here;
  const std::uint64_t digest = stoa::xxh3_64(part);
  landing = nullptr;
  return digest;
}

}  // namespace stoa::checkpoint
