#pragma once
/// Sizes of the buffers through which messages between nodes go (MpiMessages), for those who plan memory too.
#include <algorithm>
#include <cstddef>

namespace stoa::parallel {

// Of the pieces of all ranks together, and of one; measured (README of tests/bench): messages of this size go without
// copies inside MPI, and the buffers of all flights stay in the second-level cache.
inline constexpr std::size_t kMessageChunkBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMessagePieceBytes = std::size_t{256} << 10;
// Below this a gather and a sum on every rank is one round instead of two.
inline constexpr std::size_t kSmallMessageBytes = 1024;
// An all-reduce scatters one piece, sums another and gathers a third.
inline constexpr std::size_t kMessageFlights = 3;

/// Of a group of so many ranks, at most.
constexpr std::size_t message_piece_bytes(int ranks) {
  constexpr std::size_t kLine = 64;
  return std::clamp(kMessageChunkBytes / static_cast<std::size_t>(ranks) / kLine * kLine, kSmallMessageBytes,
                    kMessagePieceBytes);
}

/// A place for each rank's piece, to send and to receive, in every flight. Resident once the group has sent data.
constexpr std::size_t message_buffer_bytes(int ranks) {
  return kMessageFlights * 2 * static_cast<std::size_t>(ranks) * message_piece_bytes(ranks);
}

}  // namespace stoa::parallel
