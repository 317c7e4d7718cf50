#pragma once
/// How ranks share texts and failures, so that all of them go on or all of them throw.
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/parallel/communicator.h"

namespace stoa::checkpoint {

/// Collective: the texts of all ranks in rank order, of any length each.
std::vector<std::string> gather_texts(parallel::Communicator& ranks, std::string_view mine, std::string_view what);

/// Collective: the root's text.
std::string broadcast_text(parallel::Communicator& ranks, std::string_view mine, int root, std::string_view what);

/// The first failure among the ranks.
struct Failure {
  ErrorKind kind = ErrorKind::kInternal;
  int rank = 0;
  std::string message;
};

/// Collective: runs `work`, which must not communicate, on every rank, and returns the failure of the lowest rank that
/// threw, the same on all ranks; nothing where all succeeded.
std::optional<Failure> try_on_all_ranks(parallel::Communicator& ranks, std::string_view what,
                                        const std::function<void()>& work);

/// Throws the failure as an error of its kind; with more than one rank its message begins with the rank.
[[noreturn]] void throw_failure(const Failure& failure, const parallel::Communicator& ranks);

/// try_on_all_ranks, and every rank throws the same error where any failed.
void on_all_ranks(parallel::Communicator& ranks, std::string_view what, const std::function<void()>& work);

}  // namespace stoa::checkpoint
