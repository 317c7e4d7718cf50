#include "stoa/checkpoint/background_save.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::int64_t padded_bytes(std::span<const PieceToSave> pieces) {
  std::int64_t bytes = 0;
  for (const PieceToSave& piece : pieces)
    bytes += StagedChunks::padded_bytes(static_cast<std::int64_t>(piece.values.size_bytes()));
  return bytes;
}

}  // namespace

BackgroundSave::BackgroundSave(CheckpointStore& store, std::unique_ptr<parallel::Communicator> ranks,
                               std::int64_t staging_bytes)
    : store_(store),
      ranks_(std::move(ranks)),
      staging_bytes_(staging_bytes),
      uncaught_at_start_(std::uncaught_exceptions()) {
  ranks_->set_waiting(parallel::Waiting::kPolite);
}

BackgroundSave::~BackgroundSave() {
  if (!under_way()) return;
  if (std::uncaught_exceptions() > uncaught_at_start_) ranks_->interrupt("it ended by an exception");
  thread_.join();
}

void BackgroundSave::reserve(std::span<const PieceToSave> pieces) {
  const std::int64_t bytes = std::min(padded_bytes(pieces), staging_bytes_);
  if (staged_ && staged_->bytes() >= bytes) return;
  staged_.reset();
  staged_ = std::make_unique<StagedChunks>(bytes);
}

void BackgroundSave::write(const CheckpointState& state, std::span<const PieceDescription> pieces,
                           const RetentionRules& rules) {
  try {
    saved_.bytes = store_.save(
        state, pieces, [this](std::size_t) { return staged_->take(); }, *ranks_, rules);
  } catch (const std::exception& error) {
    failure_ = std::current_exception();
    if (dynamic_cast<const CommError*>(&error) != nullptr) ranks_->interrupt_rank(error.what());
  }
  staged_->give_up();
  saved_.seconds += now_s();
  ended_.store(true);
}

void BackgroundSave::start(CheckpointState state, std::span<const PieceToSave> pieces, const RetentionRules& rules) {
  const double begin_s = now_s();
  check_pieces(pieces);
  reserve(pieces);
  staged_->clear();
  saved_ = {.step = state.step, .bytes = 0, .seconds = -begin_s};
  failure_ = nullptr;
  ended_.store(false);
  thread_ = std::thread(
      [this, state = std::move(state), described = descriptions_of(pieces), rules] { write(state, described, rules); });
  for (const PieceToSave& piece : pieces)
    for (auto rest = std::as_bytes(piece.values); !rest.empty();) {
      const auto chunk = rest.first(std::min<std::size_t>(kTransferBytes, rest.size()));
      if (!staged_->put(chunk)) return;
      rest = rest.subspan(chunk.size());
    }
  saved_.paused_s = now_s() - begin_s;
}

void BackgroundSave::save_now(const CheckpointState& state, std::span<const PieceToSave> pieces,
                              const RetentionRules& rules) {
  const double begin_s = now_s();
  const std::int64_t bytes = store_.save(state, pieces, *ranks_, rules);
  saved_ = {.step = state.step, .bytes = bytes, .seconds = now_s() - begin_s, .paused_s = now_s() - begin_s};
  saved_now_ = true;
}

std::optional<SavedCheckpoint> BackgroundSave::finish() {
  if (std::exchange(saved_now_, false)) return saved_;
  if (!under_way()) return std::nullopt;
  thread_.join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return saved_;
}

}  // namespace stoa::checkpoint
