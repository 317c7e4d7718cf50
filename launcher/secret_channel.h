#pragma once
/// A stream of bytes between a rank and its supervisor on which each proves to the other, message by message, that it
/// knows the job's secret. Nothing on it is hidden; nothing on it can be forged, repeated or reordered.
///
///   rank        -> "STOA1" rank's nonce (16)  mac(secret, "rank" nonce)               the opening
///   supervisor  -> supervisor's nonce (16)    mac(secret, "supervisor" both nonces)    only to a right opening
///   both        -> size (4) mac(key, direction sequence payload) payload               key = mac(secret, "key" nonces)
///
/// A mac is the first 16 bytes of HMAC-SHA-256. Whoever does not know the secret is not answered: the supervisor
/// closes. Bytes in, bytes out: sockets are the caller's.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::launcher {

/// 32 bytes from the kernel's random source, as 64 hexadecimal digits.
std::string make_secret();

class SecretChannel {
 public:
  enum class Side { kRank, kSupervisor };
  SecretChannel(Side side, std::string secret);

  /// What a rank sends first. REQUIRES: Side::kRank.
  std::string opening() const;

  /// Takes bytes as they came. Whole and genuine messages are added to `messages`, what has to be sent back to `reply`.
  /// False: the other side does not know the secret, or the stream is broken: close it without a word. Then the channel
  /// is of no use any more.
  [[nodiscard]] bool receive(std::string_view bytes, std::vector<std::string>& messages, std::string& reply);

  bool is_open() const { return !key_.empty(); }
  /// A message as bytes to send, in order. REQUIRES: is_open(), at most kMostBytes.
  std::string seal(std::string_view message);

  static constexpr std::size_t kMostBytes = 8192;

 private:
  bool open(std::string_view bytes, std::string& reply);

  Side side_;
  std::string secret_;
  std::string nonce_;
  std::string key_;
  std::string held_;  ///< bytes of a message that is not whole yet
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  bool broken_ = false;
};

}  // namespace stoa::launcher
