#include "stoa/launcher/runtime_memory.h"

namespace stoa::launcher {
namespace {

constexpr std::size_t kKib = 1024;
constexpr std::size_t kMib = 1024 * kKib;

/// Pages of files, of a process that has trained and saved: oneDNN 4.2 MiB, HDF5 3.2, Open MPI with PMIx and hwloc 4.3,
/// stoa-train 1.7, the C and C++ libraries 3.8, some thirty others the rest. The same on 1, 2 and 4 ranks.
constexpr std::size_t kMappedFiles = 28 * kMib;
/// Relocated data of the libraries, heap of Open MPI and HDF5, the products that oneDNN has compiled: what private
/// memory is left when the planned parts are taken off.
constexpr std::size_t kHeapAndData = 4 * kMib + 256 * kKib;
/// Stack and compiled products' scratch; from 1 to 8 threads.
constexpr std::size_t kEachThread = 100 * kKib;

}  // namespace

void add_runtime(int threads, trainer::MemoryTable& memory) {
  using trainer::MemoryKind;
  memory.add(MemoryKind::kRuntime, "program and libraries, mapped", kMappedFiles);
  memory.add(MemoryKind::kRuntime, "their data, heap and generated code", kHeapAndData);
  memory.add(MemoryKind::kRuntime, "threads", std::size_t(threads) * kEachThread);
}

}  // namespace stoa::launcher
