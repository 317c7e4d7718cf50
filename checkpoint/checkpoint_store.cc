#include "stoa/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "stoa/base/error.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_loading.h"
#include "stoa/checkpoint/piece_norms.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/rank_agreement.h"
#include "stoa/checkpoint/save_plan.h"
#include "stoa/checkpoint/shard_writer.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

bool is_attempt(const std::string& attempt) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !attempt.empty() && attempt.size() <= 64 && attempt.find_first_not_of(kAllowed) == std::string::npos;
}

/// What would come back otherwise: NaN as null, and text that is not UTF-8 not at all.
void check_state(const CheckpointState& state) {
  if (state.step < 0) throw InternalError("step {} of a checkpoint is negative", state.step);
  if (state.evaluation_loss && !std::isfinite(*state.evaluation_loss))
    throw InternalError("the evaluation loss of step {} is not finite", state.step);
  bool returns = false;
  try {
    // Two levels deeper, as a manifest holds it.
    returns = parse_json("[[" + state.state.dump() + "]]", "state")[0][0] == state.state;
  } catch (const nlohmann::json::exception&) {
  } catch (const DataError&) {
  }
  if (!returns)
    throw InternalError("the state of step {} would not come back from JSON as it is (NaN, infinity or invalid text)",
                        state.step);
}

void check_description(const PieceDescription& piece) {
  std::string defect = tensor_defect(piece.tensor);
  if (defect.empty()) defect = box_defect(piece.box, piece.tensor);
  if (!defect.empty()) throw InternalError("tensor {}: {}", piece.tensor.name, defect);
}

template <typename Piece>
void check_piece(const Piece& piece) {
  check_description({piece.tensor, piece.box});
  if (static_cast<std::int64_t>(piece.values.size()) != piece.box.elements())
    throw InternalError("tensor {}: {} values for box {}", piece.tensor.name, piece.values.size(),
                        describe_box(piece.box));
}

struct WrittenShards {
  std::vector<ShardRecord> records;
  std::vector<double> squares;  ///< of the pieces of all ranks, one rank after the other
};

WrittenShards gather_shards(const WrittenShard& written, parallel::Communicator& ranks) {
  const ShardRecord& mine = written.record;
  Json squares = Json::array();
  // JSON has no infinity; what cannot be summed comes as null.
  for (const double sum : written.squares) squares.push_back(sum);
  const Json text{mine.file,        mine.bytes, mine.table_offset, mine.table_bytes, mine.table_digest,
                  mine.rest_digest, squares};
  WrittenShards all;
  for (const std::string& other : gather_texts(ranks, text.dump(), "checkpoint shards")) {
    const Json r = parse_json(other, "shards");
    all.records.push_back({r[0].get<std::string>(), r[1].get<std::int64_t>(), r[2].get<std::int64_t>(),
                           r[3].get<std::int64_t>(), r[4].get<std::string>(), r[5].get<std::string>()});
    for (const Json& sum : r[6])
      all.squares.push_back(sum.is_null() ? std::numeric_limits<double>::quiet_NaN() : sum.get<double>());
  }
  return all;
}

/// Tensors that are asked for must be there with the same shape.
void check_asked(const fs::path& folder, const Manifest& manifest, std::span<const PieceToLoad> pieces) {
  for (const PieceToLoad& piece : pieces) {
    const auto found = std::lower_bound(manifest.tensors.begin(), manifest.tensors.end(), piece.tensor.name,
                                        [](const GlobalTensor& a, const std::string& name) { return a.name < name; });
    if (found == manifest.tensors.end() || found->name != piece.tensor.name)
      throw CheckpointError("{}: has no tensor {}", folder.string(), piece.tensor.name);
    if (found->shape != piece.tensor.shape || found->dtype != piece.tensor.dtype)
      throw CheckpointError("{}: tensor {} has shape {}, but this model needs {}", folder.string(), piece.tensor.name,
                            describe_shape(found->shape), describe_shape(piece.tensor.shape));
  }
}

/// Tensors that nobody asks for would be lost by the next save.
void check_nothing_left(const fs::path& folder, const Manifest& manifest, const std::set<std::string>& asked) {
  std::string extra;
  for (const GlobalTensor& tensor : manifest.tensors)
    if (!asked.contains(tensor.name)) extra += (extra.empty() ? "" : ", ") + tensor.name;
  if (!extra.empty())
    throw CheckpointError("{}: holds tensors that this model does not have: {}", folder.string(), extra.substr(0, 400));
}

std::set<std::string> gather_asked(std::span<const PieceToLoad> pieces, parallel::Communicator& ranks) {
  Json mine = Json::array();
  for (const PieceToLoad& piece : pieces) mine.push_back(piece.tensor.name);
  std::set<std::string> asked;
  for (const std::string& text : gather_texts(ranks, mine.dump(), "checkpoint tensors"))
    for (const Json& name : parse_json(text, "tensors")) asked.insert(name.get<std::string>());
  return asked;
}

Manifest read_manifest_of(const CheckpointEntry& entry) {
  Manifest manifest = read_manifest(entry.folder);
  if (manifest.step != entry.step)
    throw CheckpointError("{}: its manifest is of step {}", entry.folder.string(), manifest.step);
  return manifest;
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path directory, std::string attempt, Log& log)
    : directory_(fs::absolute(directory)), attempt_(std::move(attempt)), log_(log) {
  if (!is_attempt(attempt_)) throw UsageError("attempt '{}' is not made of A-Z a-z 0-9 _ . -", attempt_);
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) throw StorageError("{}: creating the folder failed: {}", directory_.string(), error.message());
}

void check_pieces(std::span<const PieceToSave> pieces) {
  for (const PieceToSave& piece : pieces) check_piece(piece);
}

std::vector<PieceDescription> descriptions_of(std::span<const PieceToSave> pieces) {
  std::vector<PieceDescription> described;
  for (const PieceToSave& piece : pieces) described.push_back({piece.tensor, piece.box});
  return described;
}

std::int64_t CheckpointStore::save(const CheckpointState& state, std::span<const PieceToSave> pieces,
                                   parallel::Communicator& ranks, const RetentionRules& rules) {
  on_all_ranks(ranks, "checkpoint pieces", [&] { check_pieces(pieces); });
  return save(state, descriptions_of(pieces), bytes_of(pieces), ranks, rules);
}

std::int64_t CheckpointStore::save(const CheckpointState& state, std::span<const PieceDescription> pieces,
                                   const ByteSource& next, parallel::Communicator& ranks, const RetentionRules& rules) {
  on_all_ranks(ranks, "checkpoint arguments", [&] {
    check_state(state);
    for (const PieceDescription& piece : pieces) check_description(piece);
  });
  const bool first = ranks.rank() == 0;
  const auto texts = gather_texts(ranks, describe_pieces(pieces), "checkpoint pieces");
  SavePlan plan;  // of rank 0
  on_all_ranks(ranks, "checkpoint plan", [&] {
    if (first) plan = make_save_plan(texts);
  });
  const fs::path partial = directory_ / fmt::format("{}.partial-{}", step_folder_name(state.step), attempt_);
  on_all_ranks(ranks, "checkpoint folder", [&] {
    if (first) begin_partial(directory_, state.step, attempt_);
  });
  try {
    WrittenShard mine;
    on_all_ranks(ranks, "checkpoint shards written",
                 [&] { mine = write_shard(partial / shard_file_name(ranks.rank(), ranks.size()), pieces, next); });
    const WrittenShards shards = gather_shards(mine, ranks);
    on_all_ranks(ranks, "checkpoint published", [&] {
      if (!first) return;
      publish_whole(partial, directory_, make_manifest(state, attempt_, plan, shards.records, shards.squares), plan,
                    log_);
      tidy_after(directory_, state.step, rules, log_);
    });
    return mine.record.bytes;
  } catch (const CommError&) {
    throw;  // other ranks may still write; the next published step removes the folder
  } catch (const Error&) {
    std::error_code ignored;
    if (first) fs::remove_all(partial, ignored);
    throw;
  }
}

std::vector<CheckpointEntry> CheckpointStore::list() const { return scan_published(directory_); }

std::optional<CheckpointState> CheckpointStore::load_newest(std::span<const PieceToLoad> pieces,
                                                            parallel::Communicator& ranks) {
  on_all_ranks(ranks, "checkpoint arguments", [&] {
    for (const PieceToLoad& piece : pieces) check_piece(piece);
  });
  // One scan for all: a shared file system may show ranks different listings.
  Json steps = Json::array();
  on_all_ranks(ranks, "checkpoint list", [&] {
    if (ranks.rank() == 0)
      for (const CheckpointEntry& entry : list()) steps.push_back(entry.step);
  });
  steps = parse_json(broadcast_text(ranks, steps.dump(), 0, "checkpoint list"), "checkpoint list");
  const std::set<std::string> asked = gather_asked(pieces, ranks);

  std::string defects;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const CheckpointEntry entry{step->get<std::int64_t>(), directory_ / step_folder_name(step->get<std::int64_t>())};
    Manifest manifest;
    auto failure = try_on_all_ranks(ranks, "checkpoint manifest", [&] { manifest = read_manifest_of(entry); });
    if (!failure) {
      on_all_ranks(ranks, "checkpoint tensors", [&] {
        check_asked(entry.folder, manifest, pieces);
        check_nothing_left(entry.folder, manifest, asked);
      });
      std::vector<double> squares;
      failure =
          try_on_all_ranks(ranks, "checkpoint data", [&] { squares = load_pieces(entry.folder, manifest, pieces); });
      if (!failure) {
        const auto loaded = gather_texts(ranks, describe_loaded(pieces, squares), "checkpoint norms");
        failure = try_on_all_ranks(ranks, "checkpoint norms", [&] {
          if (ranks.rank() != 0) return;
          if (const std::string defect = norm_defect(manifest, loaded); !defect.empty())
            throw CheckpointError("{}: {}", entry.folder.string(), defect);
        });
      }
    }
    if (!failure) return CheckpointState{manifest.step, manifest.state, manifest.evaluation_loss};
    if (failure->kind != ErrorKind::kCheckpoint && failure->kind != ErrorKind::kStorage) throw_failure(*failure, ranks);
    if (ranks.rank() == 0) log_.warning("step {} is not whole and is passed over: {}", entry.step, failure->message);
    defects += "\n  " + failure->message;
  }
  if (!defects.empty()) throw CheckpointError("{}: no published checkpoint is whole:{}", directory_.string(), defects);
  return std::nullopt;
}

CheckpointState CheckpointStore::load(const fs::path& folder, std::span<const PieceToLoad> pieces) {
  for (const PieceToLoad& piece : pieces) check_piece(piece);
  Manifest manifest = read_manifest(folder);
  check_asked(folder, manifest, pieces);
  load_pieces(folder, manifest, pieces);
  return {manifest.step, std::move(manifest.state), manifest.evaluation_loss};
}

CheckpointState CheckpointStore::read_state(const fs::path& folder) const {
  Manifest manifest = read_manifest(folder);
  return {manifest.step, std::move(manifest.state), manifest.evaluation_loss};
}

}  // namespace stoa::checkpoint
