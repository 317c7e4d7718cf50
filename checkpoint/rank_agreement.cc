#include "stoa/checkpoint/rank_agreement.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace stoa::checkpoint {
namespace {

/// The kind as one byte (its exit code) before the message, so that both travel in one text.
std::string pack(ErrorKind kind, std::string_view message) {
  return static_cast<char>(exit_code(kind)) + std::string(message);
}

std::string outcome_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const CommError&) {
    throw;
  } catch (const Error& error) {
    return pack(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return pack(ErrorKind::kResource, "out of memory while saving or loading a checkpoint");
  } catch (const std::exception& error) {
    return pack(ErrorKind::kInternal, error.what());
  }
}

}  // namespace

std::vector<std::string> gather_texts(parallel::Communicator& ranks, std::string_view mine, std::string_view what) {
  const auto count = static_cast<std::size_t>(ranks.size());
  const std::uint64_t my_size = mine.size();
  std::vector<std::uint64_t> sizes(count);
  ranks.all_gather(std::as_bytes(std::span(&my_size, 1)), std::as_writable_bytes(std::span(sizes)), what);
  const std::size_t longest = *std::max_element(sizes.begin(), sizes.end());
  if (longest == 0) return std::vector<std::string>(count);
  std::vector<char> padded(longest), all(longest * count);
  std::copy(mine.begin(), mine.end(), padded.begin());
  ranks.all_gather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(all)), what);
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < count; ++r) texts.emplace_back(all.data() + r * longest, sizes[r]);
  return texts;
}

std::string broadcast_text(parallel::Communicator& ranks, std::string_view mine, int root, std::string_view what) {
  std::uint64_t size = mine.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), root, what);
  std::string text = ranks.rank() == root ? std::string(mine) : std::string(size, '\0');
  if (size > 0) ranks.broadcast(std::as_writable_bytes(std::span(text)), root, what);
  return text;
}

std::optional<Failure> try_on_all_ranks(parallel::Communicator& ranks, std::string_view what,
                                        const std::function<void()>& work) {
  const std::string mine = outcome_of(work);
  if (ranks.all_agree(mine.empty(), what)) return std::nullopt;
  const std::vector<std::string> all = gather_texts(ranks, mine, what);
  const auto first = std::find_if(all.begin(), all.end(), [](const std::string& text) { return !text.empty(); });
  return Failure{static_cast<ErrorKind>(first->front()), static_cast<int>(first - all.begin()), first->substr(1)};
}

void throw_failure(const Failure& failure, const parallel::Communicator& ranks) {
  const std::string message =
      ranks.size() == 1 ? failure.message : fmt::format("rank {}: {}", failure.rank, failure.message);
  switch (failure.kind) {
    case ErrorKind::kStorage:
      throw StorageError("{}", message);
    case ErrorKind::kCheckpoint:
      throw CheckpointError("{}", message);
    case ErrorKind::kResource:
      throw ResourceError("{}", message);
    case ErrorKind::kData:
      throw DataError("{}", message);
    default:
      throw InternalError("{}", message);
  }
}

void on_all_ranks(parallel::Communicator& ranks, std::string_view what, const std::function<void()>& work) {
  if (const auto failure = try_on_all_ranks(ranks, what, work)) throw_failure(*failure, ranks);
}

}  // namespace stoa::checkpoint
