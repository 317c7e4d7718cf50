#pragma once
/// What a rank tells its supervisor once a second, and what the supervisor tells it, as bytes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stoa/trainer/loop/loop_progress.h"

namespace stoa::launcher {

struct Heartbeat {
  trainer::LoopPhase phase = trainer::LoopPhase::kStarting;
  std::int64_t step = 0;      ///< in work, or done last
  std::uint64_t changes = 0;  ///< grows with each step, phase and collective: unchanged means stuck
  double step_s = 0;          ///< of the step done last
  std::string waiting;        ///< "all_reduce gradients in the data group"; empty: in no collective
  double waiting_s = 0;       ///< for so long
};

/// Who a rank is; the first message after the channel is open.
struct RankGreeting {
  std::int64_t rank = 0;
  std::string attempt;
  std::string host;
  std::string build;    ///< stoa-train's digest: all ranks must run the same
  std::string binding;  ///< "local 0 of 2, processors 0-3, GPU 0"
};

enum class SupervisorOrder : std::uint8_t { kSaveAndStop = 1 };

std::string encode(const Heartbeat& beat);
std::string encode(const RankGreeting& greeting);
std::string encode(SupervisorOrder order);
/// Nothing where the bytes are not one; whatever they are.
std::optional<Heartbeat> decode_heartbeat(std::string_view bytes);
std::optional<RankGreeting> decode_greeting(std::string_view bytes);
std::optional<SupervisorOrder> decode_order(std::string_view bytes);

}  // namespace stoa::launcher
