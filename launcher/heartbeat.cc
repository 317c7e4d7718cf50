#include "stoa/launcher/heartbeat.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace stoa::launcher {
namespace {

constexpr char kBeat = 'b';
constexpr char kGreeting = 'g';
constexpr char kOrder = 'o';
constexpr std::size_t kMostText = 1024;

static_assert(std::endian::native == std::endian::little, "numbers go over the wire as they are in memory");

class Writer {
 public:
  explicit Writer(char kind) : bytes_(1, kind) {}
  template <typename T>
  Writer& number(T value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof value);
    return *this;
  }
  Writer& text(std::string_view value) {
    value = value.substr(0, kMostText);
    number(static_cast<std::uint16_t>(value.size()));
    bytes_.append(value);
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// After the first read beyond the end nothing is good any more.
class Reader {
 public:
  Reader(std::string_view bytes, char kind) : rest_(bytes) { good_ = number<char>() == kind; }
  template <typename T>
  T number() {
    T value{};
    if (rest_.size() < sizeof value) {
      good_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const auto size = number<std::uint16_t>();
    if (size > kMostText || size > rest_.size()) {
      good_ = false;
      return "";
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  bool is_whole() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

bool is_duration(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

}  // namespace

std::string encode(const Heartbeat& beat) {
  return Writer(kBeat)
      .number(static_cast<std::uint8_t>(beat.phase))
      .number(beat.step)
      .number(beat.changes)
      .number(beat.step_s)
      .text(beat.waiting)
      .number(beat.waiting_s)
      .take();
}

std::string encode(const RankGreeting& greeting) {
  return Writer(kGreeting)
      .number(greeting.rank)
      .text(greeting.attempt)
      .text(greeting.host)
      .text(greeting.build)
      .text(greeting.binding)
      .take();
}

std::string encode(SupervisorOrder order) { return Writer(kOrder).number(static_cast<std::uint8_t>(order)).take(); }

std::optional<Heartbeat> decode_heartbeat(std::string_view bytes) {
  Reader reader(bytes, kBeat);
  const auto phase = reader.number<std::uint8_t>();
  Heartbeat beat;
  beat.step = reader.number<std::int64_t>();
  beat.changes = reader.number<std::uint64_t>();
  beat.step_s = reader.number<double>();
  beat.waiting = reader.text();
  beat.waiting_s = reader.number<double>();
  const bool sound = reader.is_whole() && phase < trainer::kLoopPhases && beat.step >= 0 && is_duration(beat.step_s) &&
                     is_duration(beat.waiting_s);
  if (!sound) return std::nullopt;
  beat.phase = static_cast<trainer::LoopPhase>(phase);
  return beat;
}

std::optional<RankGreeting> decode_greeting(std::string_view bytes) {
  Reader reader(bytes, kGreeting);
  RankGreeting greeting;
  greeting.rank = reader.number<std::int64_t>();
  greeting.attempt = reader.text();
  greeting.host = reader.text();
  greeting.build = reader.text();
  greeting.binding = reader.text();
  return reader.is_whole() && greeting.rank >= 0 ? std::optional(greeting) : std::nullopt;
}

std::optional<SupervisorOrder> decode_order(std::string_view bytes) {
  Reader reader(bytes, kOrder);
  const auto order = reader.number<std::uint8_t>();
  const bool sound = reader.is_whole() && order == static_cast<std::uint8_t>(SupervisorOrder::kSaveAndStop);
  return sound ? std::optional(SupervisorOrder::kSaveAndStop) : std::nullopt;
}

}  // namespace stoa::launcher
