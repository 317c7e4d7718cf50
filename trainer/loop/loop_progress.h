#pragma once
/// How far the loop of this rank is, for whoever watches it from another thread: a heartbeat.
#include <atomic>
#include <cstdint>
#include <string_view>

namespace stoa::trainer {

enum class LoopPhase : std::uint8_t {
  kStarting,  ///< data, weights, buffers
  kTraining,  ///< the passes of a step and its update
  kEvaluating,
  kSaving,  ///< the copy, or the wait for a save under way
  kEnding,
};
inline constexpr int kLoopPhases = 5;
constexpr std::string_view phase_name(LoopPhase phase) {
  constexpr std::string_view kNames[] = {"starting", "training", "evaluating", "saving", "ending"};
  return kNames[static_cast<int>(phase)];
}

/// Written by the loop's thread alone.
struct LoopProgress {
  std::atomic<LoopPhase> phase{LoopPhase::kStarting};
  std::atomic<std::int64_t> step{0};      ///< that is in work, or was done last
  std::atomic<std::uint64_t> changes{0};  ///< one more with each new phase or step
  std::atomic<double> step_s{0};          ///< of the step done last

  void enter(LoopPhase next) {
    phase = next;
    ++changes;
  }
};

}  // namespace stoa::trainer
