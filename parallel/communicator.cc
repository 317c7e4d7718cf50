#include "stoa/parallel/communicator.h"

#include "stoa/base/error.h"
#include "stoa/parallel/private_memory.h"

namespace stoa::parallel {

void Communicator::begin_call(std::string_view collective, std::string_view what, std::size_t size_bytes) {
  if (is_broken())
    throw CommError("{} {} on rank {} of {}: the group broke before: {}", collective, what, rank(), size(), broken_);
  call_collective_ = collective;
  call_what_ = what;
  call_number_ = ledger_.begin(collective, what, size_bytes);
  call_deadline_ = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                          std::chrono::duration<double>(deadline_s_));
}

// Called in a catch block.
void Communicator::fail_call() {
  const std::string name = fmt::format("#{} {} {} on rank {} of {} (deadline {:g} s)", call_number_, call_collective_,
                                       call_what_, rank(), size(), deadline_s_);
  try {
    throw;
  } catch (const CommError& error) {
    broken_ = fmt::format("{}: {}", name, error.what());
    throw CommError("{}", broken_);
  } catch (const std::exception& error) {
    broken_ = fmt::format("{}: {}", name, error.what());
    throw;
  } catch (...) {
    broken_ = name;
    throw;
  }
}

void Communicator::barrier(std::string_view what) {
  run_call("barrier", what, 0, [&] { do_barrier(); });
}

void Communicator::all_reduce(std::span<float> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_reduce(std::span<double> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_reduce(std::span<std::int64_t> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what) {
  if (all.size() != mine.size() * static_cast<std::size_t>(size()))
    throw InternalError("all_gather {}: {} ranks with {} bytes each do not fill {} bytes", what, size(), mine.size(),
                        all.size());
  run_call("all_gather", what, all.size(), [&] { do_all_gather(mine, all); });
}

void Communicator::broadcast(std::span<std::byte> bytes, int root, std::string_view what) {
  if (root < 0 || root >= size()) throw InternalError("broadcast {}: no rank {} among {}", what, root, size());
  run_call("broadcast", what, bytes.size(), [&] { do_broadcast(bytes, root); });
}

bool Communicator::all_agree(bool mine, std::string_view what) {
  std::int64_t agreed = mine ? 1 : 0;
  run_call("all_agree", what, sizeof agreed, [&] { do_all_reduce(std::span(&agreed, 1), ReduceOp::kMin); });
  return agreed == 1;
}

std::unique_ptr<CommunicatorMemory> Communicator::allocate(std::size_t bytes, std::string_view what) {
  return std::make_unique<PrivateMemory>(bytes, what);
}

}  // namespace stoa::parallel
