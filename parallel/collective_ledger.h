#pragma once
/// The last collectives of one rank, for the report that a hang prints: which call, how many bytes, finished or not.
/// Written by the rank's thread; describe() may be called from another thread (a watchdog).
#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace stoa::parallel {

class CollectiveLedger {
 public:
  static constexpr std::size_t kKept = 32;

  /// Returns the call's number in the sequence, counted from 1.
  std::uint64_t begin(std::string_view collective, std::string_view what, std::size_t size_bytes);
  void end(std::uint64_t number);

  /// One line a call, oldest first: "#17 all_reduce gradients 4.00 MiB: finished after 0.8 s".
  std::string describe() const;
  std::uint64_t count() const;

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::array<char, 24> collective{};
    std::array<char, 40> what{};
    std::size_t size_bytes = 0;
    double began_s = 0;
    double ended_s = -1;
  };

  mutable std::mutex mutex_;
  std::array<Entry, kKept> entries_{};
  std::uint64_t count_ = 0;
};

}  // namespace stoa::parallel
