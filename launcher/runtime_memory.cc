#include "stoa/launcher/runtime_memory.h"

namespace stoa::launcher {
namespace {

constexpr std::size_t kKib = 1024;
constexpr std::size_t kMib = 1024 * kKib;

constexpr std::size_t kMappedFiles = 28 * kMib;
constexpr std::size_t kHeapAndData = 4 * kMib + 256 * kKib;
constexpr std::size_t kEachThread = 256 * kKib;

}  // namespace

void add_runtime(int threads, trainer::MemoryTable& memory) {
  using trainer::MemoryKind;
  memory.add(MemoryKind::kRuntime, "program and libraries, mapped", kMappedFiles);
  memory.add(MemoryKind::kRuntime, "their data, heap and generated code", kHeapAndData);
  memory.add(MemoryKind::kRuntime, "threads", std::size_t(threads) * kEachThread);
}

}  // namespace stoa::launcher
