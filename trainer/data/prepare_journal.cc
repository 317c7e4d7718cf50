#include "stoa/trainer/data/prepare_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset_files.h"
#include "stoa/trainer/data/indexed_dataset_format.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kFirstPointBytes = std::int64_t{1} << 18;
constexpr std::int64_t kPointBytes = std::int64_t{1} << 24;
constexpr std::size_t kLengthBytes = sizeof(std::int32_t);

std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// "" where they are the same.
std::string difference(const Json& was, const Json& is) {
  const auto shown = [](const Json& value) { return line_of(value).substr(0, 200); };
  for (const auto& [key, value] : is.items()) {
    const Json before = was.is_object() && was.contains(key) ? was.at(key) : Json();
    if (before == value) continue;
    if (!value.is_array() || !before.is_array())
      return fmt::format("{} was {} and is {}", key, shown(before), shown(value));
    for (std::size_t i = 0; i < std::max(value.size(), before.size()); ++i) {
      const Json one = i < before.size() ? before[i] : Json("absent");
      const Json other = i < value.size() ? value[i] : Json("absent");
      if (one != other) return fmt::format("number {} of {} was {} and is {}", i + 1, key, shown(one), shown(other));
    }
  }
  return "";
}

struct JournalRead {
  Json depends_on;
  PreparedUpTo up_to;
  bool whole = false;
  std::vector<std::string> blocks;  ///< whole ones
  std::string tail;
};

Json to_json(const PreparedUpTo& p) {
  return {{"chunk", p.chunk},           {"file", p.file},           {"offset", p.offset},      {"line", p.line},
          {"text_bytes", p.text_bytes}, {"documents", p.documents}, {"bin_bytes", p.bin_bytes}};
}

PreparedUpTo up_to_of(const Json& j, const std::string& place) {
  const auto number = [&](const char* key) { return json_field<std::int64_t>(j, key, place); };
  return {number("chunk"),      number("file"),      number("offset"),   number("line"),
          number("text_bytes"), number("documents"), number("bin_bytes")};
}

/// Lines up to the first that is not what was written: a crash may have torn the end.
std::optional<JournalRead> read_journal(const std::filesystem::path& path) {
  const std::string text = read_text_file(path), place = path.string();
  JournalRead read;
  bool first = true;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    try {
      const Json line = parse_json(std::string_view(text).substr(begin, end - begin), place);
      if (first) {
        read.depends_on = line;
      } else {
        const PreparedUpTo up_to = up_to_of(line, place);
        const auto blocks = json_field<std::vector<std::string>>(line, "blocks", place);
        read.tail = json_field<std::string>(line, "tail", place);
        read.whole = line.contains("whole");
        read.blocks.insert(read.blocks.end(), blocks.begin(), blocks.end());
        read.up_to = up_to;
      }
    } catch (const DataError&) {
      break;
    }
    first = false;
  }
  if (first || read.up_to.chunk < 0) return std::nullopt;
  return read;
}

void cut_to(int fd, std::int64_t bytes, const std::filesystem::path& path) {
  if (::ftruncate(fd, bytes) != 0 || ::lseek(fd, bytes, SEEK_SET) < 0)
    throw StorageError("{}: truncate failed: {}", path.string(), errno_message(errno));
}

std::int64_t size_of(const std::filesystem::path& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  return failure ? -1 : static_cast<std::int64_t>(size);
}

std::filesystem::path lengths_path(const std::filesystem::path& prefix) {
  return indexed::with_ending(prefix, ".lengths.partial");
}
std::filesystem::path journal_path(const std::filesystem::path& prefix) {
  return indexed::with_ending(prefix, ".journal.partial");
}

}  // namespace

struct DatasetInProgress::State {
  std::filesystem::path prefix, bin_path, lengths_file, journal_file;
  int type = 0;
  FileDescriptor lock;  // on the journal, which is there until all else is done
  FileDescriptor bin, lengths;
  std::optional<AppendFile> journal;
  BlockDigests digests;
  std::size_t blocks_noted = 0;
  PreparedUpTo up_to;
  std::int64_t next_point = kFirstPointBytes, point_bytes = kFirstPointBytes;
  bool any_point = false, whole = false, published = false;

  bool bin_was_renamed() const {
    return !std::filesystem::exists(bin_path) && size_of(indexed::tokens_path(prefix)) == up_to.bin_bytes;
  }

  /// The reason why what is there cannot be gone on with; "" where it was taken up.
  std::string take_up(const std::optional<JournalRead>& read, const Json& depends_on) {
    if (!read) return "it has no durable point";
    const std::string differs = difference(read->depends_on, depends_on);
    if (!differs.empty()) return differs;
    up_to = read->up_to;
    whole = read->whole;
    const std::filesystem::path tokens = whole && bin_was_renamed() ? indexed::tokens_path(prefix) : bin_path;
    if (size_of(tokens) < up_to.bin_bytes) return fmt::format("{} is too short", tokens.string());
    if (size_of(lengths_file) < up_to.documents * static_cast<std::int64_t>(kLengthBytes))
      return fmt::format("{} is too short", lengths_file.string());
    return restore_digests(*read, tokens);
  }

  std::string restore_digests(const JournalRead& read, const std::filesystem::path& tokens) {
    std::vector<std::string> blocks = read.blocks;
    if (static_cast<std::int64_t>(blocks.size()) != up_to.bin_bytes / FileDigest::kBlockBytes)
      return "the journal lacks digests";
    const MappedFile mapped(tokens);
    const auto written = mapped.bytes().first(static_cast<std::size_t>(up_to.bin_bytes));
    // The last whole block is compared too: the tail may be empty.
    std::string last;
    if (!blocks.empty()) {
      last = blocks.back();
      blocks.pop_back();
    }
    const auto begin = blocks.size() * static_cast<std::size_t>(FileDigest::kBlockBytes);
    digests.go_on_after(std::move(blocks));
    digests.update(written.subspan(begin));
    blocks_noted = digests.whole_blocks().size();
    const bool same = digests.tail() == read.tail && (last.empty() || digests.whole_blocks().back() == last);
    return same ? "" : fmt::format("{} is not what was written", tokens.string());
  }

  void begin(const Json& depends_on) {
    up_to = {};
    whole = false;
    blocks_noted = 0;
    digests.go_on_after({});
    cut_to(lock.get(), 0, journal_file);
    sync_file(lock.get(), journal_file);
    open_outputs();
    journal.emplace(journal_file);
    journal->append(line_of(depends_on));
    journal->sync();
    sync_directory(prefix.has_parent_path() ? prefix.parent_path() : ".");
  }

  void open_outputs() {
    lengths = open_file(lengths_file, O_RDWR | O_CREAT);
    cut_to(lengths.get(), up_to.documents * static_cast<std::int64_t>(kLengthBytes), lengths_file);
    if (whole && bin_was_renamed()) return;
    bin = open_locked(bin_path);
    cut_to(bin.get(), up_to.bin_bytes, bin_path);
  }

  void make_durable_point() {
    sync_file(bin.get(), bin_path);
    sync_file(lengths.get(), lengths_file);
    Json line = to_json(up_to);
    const auto& blocks = digests.whole_blocks();
    line["blocks"] = std::vector<std::string>(blocks.begin() + static_cast<std::ptrdiff_t>(blocks_noted), blocks.end());
    line["tail"] = digests.tail();
    if (whole) line["whole"] = true;
    journal->append(line_of(line));
    journal->sync();
    blocks_noted = blocks.size();
    any_point = true;
    next_point = up_to.bin_bytes + point_bytes;
    point_bytes = std::min(2 * point_bytes, kPointBytes);
  }
};

DatasetInProgress::DatasetInProgress(const std::filesystem::path& prefix, int type, const Json& depends_on, Log& log)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.prefix = prefix;
  state.type = type;
  state.bin_path = indexed::with_ending(prefix, ".bin.partial");
  state.lengths_file = lengths_path(prefix);
  state.journal_file = journal_path(prefix);
  // As the journal will give it back.
  const Json normal = parse_json(line_of(depends_on), "what the data set depends on");
  state.lock = open_locked(state.journal_file);
  const std::optional<JournalRead> read = read_journal(state.journal_file);
  const std::string reason = state.take_up(read, normal);
  if (!reason.empty()) {
    if (read) log.warning("{} was begun before but cannot be gone on with: {}", prefix.string(), reason);
    state.begin(normal);
    return;
  }
  state.any_point = true;
  state.open_outputs();
  state.journal.emplace(state.journal_file);
  state.next_point = state.up_to.bin_bytes + state.point_bytes;
  log.info("{} was begun before: going on after {} documents, {} of text", prefix.string(),
           format_grouped(state.up_to.documents), format_bytes(static_cast<double>(state.up_to.text_bytes)));
}

DatasetInProgress::~DatasetInProgress() {
  if (state_->published || state_->any_point) return;
  for (const auto& path : {state_->bin_path, state_->lengths_file, state_->journal_file}) ::unlink(path.c_str());
}

const PreparedUpTo& DatasetInProgress::up_to() const { return state_->up_to; }
bool DatasetInProgress::is_whole() const { return state_->whole; }

void DatasetInProgress::append(std::span<const std::byte> tokens, std::span<const std::int32_t> lengths,
                               const PreparedUpTo& reached) {
  write_all(state_->bin.get(), tokens, state_->bin_path);
  write_all(state_->lengths.get(), std::as_bytes(lengths), state_->lengths_file);
  state_->digests.update(tokens);
  state_->up_to = reached;
  if (reached.bin_bytes >= state_->next_point) state_->make_durable_point();
}

void DatasetInProgress::finish() {
  State& state = *state_;
  if (!state.whole) {
    state.whole = true;
    state.make_durable_point();
  }
  const std::filesystem::path idx_partial = indexed::with_ending(state.prefix, ".idx.partial");
  FileDigest idx;
  {
    const MappedFile mapped(state.lengths_file);
    const auto* const lengths = mapped.bytes().data();
    const auto length = [&](std::int64_t document) {
      return indexed::value_at<std::int32_t>(lengths, static_cast<std::size_t>(document) * kLengthBytes);
    };
    std::int64_t tokens = 0;
    for (std::int64_t document = 0; document < state.up_to.documents; ++document) tokens += length(document);
    if (tokens * indexed::token_bytes(state.type) != state.up_to.bin_bytes)
      throw DataError("{}: its lengths add up to {} tokens, but {} bytes were written: remove it and prepare again",
                      state.lengths_file.string(), tokens, state.up_to.bin_bytes);
    idx = write_index(idx_partial, {state.type, state.up_to.documents, state.up_to.documents, length,
                                    [](std::int64_t document) { return document; }});
  }
  publish_dataset(state.prefix, state.digests.result(), idx);
  state.published = true;
  clean_up_after_publishing(state.prefix);
}

void DatasetInProgress::clean_up_after_publishing(const std::filesystem::path& prefix) {
  ::unlink(lengths_path(prefix).c_str());
  ::unlink(journal_path(prefix).c_str());
}

}  // namespace stoa::trainer
