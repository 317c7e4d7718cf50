#include "stoa/launcher/tokenizer_commands.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::launcher {
namespace {

/// All bytes of a file: mapped where it is one, read where it is a pipe.
class Input {
 public:
  explicit Input(const std::string& file) {
    std::error_code failure;
    const auto status = std::filesystem::status(file, failure);
    if (file != "-" && !std::filesystem::exists(status)) throw DataError("{}: no such file", file);
    if (file != "-" && std::filesystem::is_directory(status)) throw DataError("{}: is a folder, not a file", file);
    if (file != "-" && std::filesystem::is_regular_file(status) && std::filesystem::file_size(file) > 0)
      mapped_.emplace(file);
    else if (file == "-")
      read(STDIN_FILENO, "standard input");
    else
      read(open_file(file, O_RDONLY).get(), file);
  }

  std::string_view text() const { return mapped_ ? mapped_->text() : std::string_view(bytes_); }

 private:
  void read(int fd, const std::string& name) {
    constexpr std::size_t kPiece = std::size_t{1} << 16;
    for (;;) {
      const std::size_t before = bytes_.size();
      bytes_.resize(before + kPiece);
      const ssize_t count = ::read(fd, bytes_.data() + before, kPiece);
      const int failure = errno;
      bytes_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
      if (count == 0) return;
      if (count < 0 && failure != EINTR) throw StorageError("{}: cannot be read: {}", name, std::strerror(failure));
    }
  }

  std::optional<MappedFile> mapped_;
  std::string bytes_;
};

void write(std::string_view bytes, std::FILE* out) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), out) != bytes.size() || std::fflush(out) != 0)
    throw StorageError("the output cannot be written: {}", std::strerror(errno));
}

std::uint32_t little_endian(std::uint32_t value) {
  return std::endian::native == std::endian::little ? value : __builtin_bswap32(value);
}

std::string written(const std::vector<std::int32_t>& ids, IdFormat format) {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (format == IdFormat::kBinary) {
      const std::uint32_t number = little_endian(static_cast<std::uint32_t>(id));
      bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
      continue;
    }
    const fmt::format_int number(id);
    if (!bytes.empty()) bytes += ' ';
    bytes.append(number.data(), number.size());
  }
  return format == IdFormat::kText ? bytes + '\n' : bytes;
}

std::vector<std::int32_t> read_binary(std::string_view bytes, const std::string& file) {
  if (bytes.size() % sizeof(std::int32_t) != 0)
    throw DataError("{}: {} bytes are no whole number of ids of 4 bytes", file, bytes.size());
  std::vector<std::int32_t> ids(bytes.size() / sizeof(std::int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(little_endian(static_cast<std::uint32_t>(id)));
  return ids;
}

std::vector<std::int32_t> read_text(std::string_view text, const std::string& file) {
  std::vector<std::int32_t> ids;
  constexpr std::string_view kSpaces = " \t\r\n";
  for (std::size_t at = text.find_first_not_of(kSpaces); at != std::string_view::npos;
       at = text.find_first_not_of(kSpaces, at)) {
    const std::string_view word = text.substr(at, text.find_first_of(kSpaces, at) - at);
    std::int32_t id = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (failure != std::errc() || end != word.data() + word.size())
      throw DataError("{}: byte {}: '{}' is no token id", file, at, word.substr(0, 40));
    ids.push_back(id);
    at += word.size();
  }
  return ids;
}

}  // namespace

void encode_files(const trainer::Tokenizer& tokenizer, const std::vector<std::string>& files, IdFormat format,
                  trainer::AddedTokens added, std::FILE* out) {
  trainer::Encoder encoder(tokenizer);
  std::vector<std::int32_t> ids;
  for (const std::string& file : files) {
    const Input input(file);
    ids.clear();
    encoder.encode(input.text(), ids, added);
    write(written(ids, format), out);
  }
}

void decode_file(const trainer::Tokenizer& tokenizer, const std::string& file, IdFormat format, std::FILE* out) {
  const Input input(file);
  const std::string place = file == "-" ? "standard input" : file;
  write(
      tokenizer.decode(format == IdFormat::kBinary ? read_binary(input.text(), place) : read_text(input.text(), place)),
      out);
}

void show_tokenizer(const trainer::Tokenizer& tokenizer, ShowAs as, std::FILE* out) {
  if (as == ShowAs::kJson) return write(tokenizer.to_json(), out);
  const bool is_gpt2 = tokenizer.pre_tokenizer() == trainer::PreTokenizer::kGpt2;
  fmt::print(out, "kind            byte-level BPE, text cut as {} does\n", is_gpt2 ? "GPT-2" : "Llama 3");
  fmt::print(out, "vocabulary      {} tokens\n", tokenizer.vocabulary_size());
  fmt::print(out, "end of text     {}\n", tokenizer.end_of_text());
  if (const auto begin = tokenizer.begin_of_text()) fmt::print(out, "begin of text   {}\n", *begin);
  for (const auto& [id, text] : tokenizer.special_tokens()) fmt::print(out, "special         {} {}\n", id, text);
  fmt::print(out, "fingerprint     {}\n", tokenizer.fingerprint());
}

}  // namespace stoa::launcher
