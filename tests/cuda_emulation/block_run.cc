#include <fmt/format.h>

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include <bit>
#include <memory>
#include <vector>

#include "stoa/tests/cuda_emulation/emulator.h"

namespace stoa::cuda_emulation {
namespace {

constexpr unsigned kWarpLanes = 32;
constexpr std::size_t kStackBytes = 64 * 1024;

enum class Standing { kRunning, kAtBarrier, kAtShuffle, kEnded };

struct FiberThread {
  boost::context::fiber fiber;
  DeviceThread position;
  Standing standing = Standing::kRunning;
  unsigned lanes = 0;  ///< named by the shuffle it stands at
  int lane_mask = 0;
  int width = 0;
  float value = 0;
};

class BlockRun;
BlockRun* running_block = nullptr;
ThreadOrder thread_order = ThreadOrder::kAscending;

/// i counted from the other end in descending order.
unsigned in_order(unsigned i, unsigned count) { return thread_order == ThreadOrder::kAscending ? i : count - 1 - i; }

class BlockRun {
 public:
  BlockRun(const cudaLaunchConfig_t& config, unsigned block, const std::function<void()>& body)
      : threads_(config.blockDim.x) {
    for (unsigned i = 0; i < threads_.size(); ++i) {
      threads_[i].position = {{i, 0, 0}, {block, 0, 0}, config.blockDim};
      threads_[i].fiber = boost::context::fiber(std::allocator_arg, boost::context::fixedsize_stack(kStackBytes),
                                                [this, &body](boost::context::fiber&& scheduler) {
                                                  scheduler_ = std::move(scheduler);
                                                  body();
                                                  current_->standing = Standing::kEnded;
                                                  return std::move(scheduler_);
                                                });
    }
  }

  /// False where the threads cannot all go on; destroying this unwinds them.
  bool run() {
    running_block = this;
    bool whole = true;
    while (whole && run_to_next_wait()) whole = release_block() || release_warps() || is_over() || stuck();
    running_block = nullptr;
    return whole;
  }

  const DeviceThread& position() const { return current_->position; }

  FiberThread& wait(Standing standing) {
    FiberThread& self = *current_;
    self.standing = standing;
    scheduler_ = std::move(scheduler_).resume();
    return self;
  }

  FiberThread& current() { return *current_; }

 private:
  /// True where a thread moved.
  bool run_to_next_wait() {
    bool moved = false;
    const auto count = static_cast<unsigned>(threads_.size());
    for (unsigned i = 0; i < count; ++i) {
      FiberThread& thread = threads_[in_order(i, count)];
      if (thread.standing != Standing::kRunning) continue;
      current_ = &thread;
      thread.fiber = std::move(thread.fiber).resume();
      moved = true;
    }
    return moved;
  }

  std::size_t count(Standing standing) const {
    std::size_t number = 0;
    for (const FiberThread& thread : threads_) number += thread.standing == standing ? 1 : 0;
    return number;
  }

  bool is_over() const { return count(Standing::kEnded) == threads_.size(); }

  bool release_block() {
    if (count(Standing::kAtBarrier) != threads_.size()) return false;
    for (FiberThread& thread : threads_) thread.standing = Standing::kRunning;
    return true;
  }

  bool release_warps() {
    bool released = false;
    for (std::size_t first = 0; first < threads_.size(); first += kWarpLanes)
      released |= release_warp(&threads_[first], std::min<std::size_t>(kWarpLanes, threads_.size() - first));
    return released;
  }

  /// Exchanges the values once all lanes that the shuffle names stand at one that names the same lanes.
  bool release_warp(FiberThread* warp, std::size_t lanes_there) {
    unsigned waiting = 0;
    for (unsigned lane = 0; lane < lanes_there; ++lane)
      waiting |= warp[lane].standing == Standing::kAtShuffle ? 1U << lane : 0;
    bool released = false;
    while (waiting != 0) {
      const unsigned group = warp[std::countr_zero(waiting)].lanes;
      if ((group & waiting) == group && same_shuffle(warp, group)) {
        exchange(warp, group);
        released = true;
      }
      waiting &= ~(group | (waiting & -waiting));
    }
    return released;
  }

  static bool same_shuffle(const FiberThread* warp, unsigned group) {
    const FiberThread& first = warp[std::countr_zero(group)];
    for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
      if ((group >> lane & 1U) == 0) continue;
      if (warp[lane].lanes != group || warp[lane].lane_mask != first.lane_mask || warp[lane].width != first.width)
        return false;
    }
    return true;
  }

  static void exchange(FiberThread* warp, unsigned group) {
    float received[kWarpLanes];
    for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
      if ((group >> lane & 1U) == 0) continue;
      const unsigned from = lane ^ static_cast<unsigned>(warp[lane].lane_mask);
      if (from >= kWarpLanes || (group >> from & 1U) == 0) {
        report(fmt::format("thread {} shuffles with lane {}, which does not take part", warp[lane].position.thread.x,
                           from));
        received[lane] = warp[lane].value;
      } else {
        received[lane] = warp[from].value;
      }
    }
    for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
      if ((group >> lane & 1U) == 0) continue;
      warp[lane].value = received[lane];
      warp[lane].standing = Standing::kRunning;
    }
  }

  bool stuck() const {
    report(fmt::format("block {}: threads diverge: {} wait at a barrier, {} at a shuffle, {} have ended",
                       threads_[0].position.block.x, count(Standing::kAtBarrier), count(Standing::kAtShuffle),
                       count(Standing::kEnded)));
    return false;
  }

  std::vector<FiberThread> threads_;
  boost::context::fiber scheduler_;
  FiberThread* current_ = nullptr;
};

}  // namespace

void set_thread_order(ThreadOrder order) { thread_order = order; }

const DeviceThread& current_thread() { return running_block->position(); }

void wait_at_barrier() { running_block->wait(Standing::kAtBarrier); }

float shuffle(unsigned lanes, float value, int lane_mask, int width) {
  FiberThread& self = running_block->current();
  const unsigned own_lane = self.position.thread.x % kWarpLanes;
  if ((lanes >> own_lane & 1U) == 0) {
    report(fmt::format("thread {} calls a shuffle that does not name its lane", self.position.thread.x));
    return value;
  }
  self.lanes = lanes;
  self.value = value;
  self.lane_mask = lane_mask;
  self.width = width;
  return running_block->wait(Standing::kAtShuffle).value;
}

bool run_grid(const cudaLaunchConfig_t& config, const std::function<void()>& thread_body) {
  for (unsigned i = 0; i < config.gridDim.x; ++i)
    if (!BlockRun(config, in_order(i, config.gridDim.x), thread_body).run()) return false;
  return true;
}

}  // namespace stoa::cuda_emulation
