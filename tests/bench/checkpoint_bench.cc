/// How fast one rank saves and loads 1 GiB. Why: a save stops training for as long as it takes, so its speed sets how
/// often a run can afford one; the floor to compare with is the disk itself (dd with conv=fsync), the ceiling a memory
/// file system (TMPDIR=/dev/shm).
#include <benchmark/benchmark.h>

#include <cstdio>

#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kBytes = std::int64_t{1} << 30;

/// 64 matrices of 16 MiB.
std::vector<GlobalTensor> one_gibibyte() {
  std::vector<GlobalTensor> tensors;
  for (int i = 0; i < 64; ++i)
    tensors.push_back({fmt::format("parameters/layers.{}.weight", i), DType::kFloat32, {2048, 2048}});
  return tensors;
}

/// The same tensors cut by columns in two: every row of every chunk is copied.
void load_cut(benchmark::State& state, int ranks, Cut cut) {
  const TemporaryFolder folder;
  Log log(stderr, "bench", LogLevel::kError);
  CheckpointStore store(folder.path(), "1", log);
  parallel::OneRank one;
  const SmallModel whole(0, 1, Cut::kFirstDim, one_gibibyte());
  store.save({1, Json::object()}, whole.to_save(), one, 1);
  SmallModel model(0, ranks, cut, one_gibibyte());
  for (auto _ : state) store.load_newest(model.to_load(), one);
  state.SetBytesProcessed(state.iterations() * kBytes / ranks);
}

void BM_Save(benchmark::State& state) {
  const TemporaryFolder folder;
  Log log(stderr, "bench", LogLevel::kError);
  CheckpointStore store(folder.path(), "1", log);
  parallel::OneRank one;
  const SmallModel model(0, 1, Cut::kFirstDim, one_gibibyte());
  std::int64_t step = 0;
  for (auto _ : state) store.save({++step, Json::object()}, model.to_save(), one, 1);
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(BM_Save)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_LoadSameCut(benchmark::State& state) { load_cut(state, 1, Cut::kFirstDim); }
BENCHMARK(BM_LoadSameCut)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_LoadHalfTheColumns(benchmark::State& state) { load_cut(state, 2, Cut::kLastDim); }
BENCHMARK(BM_LoadHalfTheColumns)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace stoa::checkpoint

BENCHMARK_MAIN();
