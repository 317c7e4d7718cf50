#pragma once
/// What a process of stoa-train holds beside its planned parts. Measured, with Open MPI 4.1, oneDNN 2.6 and HDF5 1.10
/// of Debian 12: `tests/bench/memory_bench BUILD-BIN --models tiny --maps` shows it again, by what it is mapped from.
#include "stoa/trainer/model/memory_plan.h"

namespace stoa::launcher {

/// Adds it, as MemoryKind::kRuntime.
void add_runtime(int threads, trainer::MemoryTable& memory);

}  // namespace stoa::launcher
