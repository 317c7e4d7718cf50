#include "stoa/checkpoint/safetensors_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "stoa/base/error.h"
#include "stoa/checkpoint/safetensors_index.h"
#include "stoa/checkpoint/safetensors_values.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kLengthBytes = 8;
/// Of an index: beyond any model, and its JSON still fits into memory.
constexpr std::uintmax_t kMostIndexBytes = 32U << 20;

std::int64_t size_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw DataError("{}: {}", path.string(), errno_message(errno));
  // Before open(2): a pipe put in its place would make it wait.
  if (!S_ISREG(status.st_mode)) throw DataError("{}: not a regular file", path.string());
  return status.st_size;
}

void read_at(int fd, std::int64_t offset, std::span<std::byte> into, const std::filesystem::path& path) {
  while (!into.empty()) {
    const ssize_t got = ::pread(fd, into.data(), into.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: read at byte {} failed: {}", path.string(), offset, errno_message(errno));
    if (got == 0) throw DataError("{}: ends at byte {}", path.string(), offset);
    offset += got;
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

std::int64_t header_bytes(int fd, std::int64_t file_bytes, const std::filesystem::path& path) {
  if (file_bytes < kLengthBytes) throw DataError("{}: {} bytes are no safetensors file", path.string(), file_bytes);
  std::uint64_t length = 0;
  std::byte bytes[kLengthBytes];
  read_at(fd, 0, bytes, path);
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | static_cast<std::uint64_t>(bytes[i]);
  if (length > std::uint64_t{kMostSafetensorsHeaderBytes})
    throw DataError("{}: a header of {} bytes; at most {} are read", path.string(), length,
                    kMostSafetensorsHeaderBytes);
  if (static_cast<std::int64_t>(length) > file_bytes - kLengthBytes)
    throw DataError("{}: a header of {} bytes in a file of {}", path.string(), length, file_bytes);
  return static_cast<std::int64_t>(length);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  const std::int64_t file_bytes = size_of(path);
  fd_ = open_file(path, O_RDONLY);
  std::string header(static_cast<std::size_t>(header_bytes(fd_.get(), file_bytes, path)), '\0');
  read_at(fd_.get(), kLengthBytes, std::as_writable_bytes(std::span(header)), path);
  data_offset_ = kLengthBytes + static_cast<std::int64_t>(header.size());
  entries_ = parse_safetensors_header(header, file_bytes - data_offset_, path.string());
}

void SafetensorsFile::read(const SafetensorsEntry& entry, std::int64_t first, std::span<float> values) const {
  const auto type = float_type_named(entry.dtype);
  if (!type)
    throw DataError("{}: tensor '{}' is {}; F32, BF16 and F16 are read", path_.string(), entry.name, entry.dtype);
  const std::int64_t each = float_type_bytes(*type);
  const std::int64_t offset = data_offset_ + entry.begin + first * each;
  // Into the upper end of the caller's memory: a value is never wider in the file than in memory.
  const auto bytes = std::as_writable_bytes(values).last(values.size() * static_cast<std::size_t>(each));
  read_at(fd_.get(), offset, bytes, path_);
  if (*type != FloatType::kF32) decode_floats(*type, bytes, values);
}

SafetensorsModel::SafetensorsModel(const std::filesystem::path& folder) {
  const std::filesystem::path single = folder / "model.safetensors";
  const std::filesystem::path index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  if (std::filesystem::exists(single, ignored)) {
    files_.emplace_back(single);
    for (const SafetensorsEntry& entry : files_[0].entries()) tensors_[entry.name] = {&files_[0], &entry};
  } else if (std::filesystem::exists(index, ignored)) {
    read_index(index);
  } else {
    throw DataError("{}: neither model.safetensors nor model.safetensors.index.json is there", folder.string());
  }
}

void SafetensorsModel::read_index(const std::filesystem::path& index) {
  const std::string place = index.string();
  if (const auto bytes = static_cast<std::uintmax_t>(size_of(index)); bytes > kMostIndexBytes)
    throw DataError("{}: {} bytes; an index of at most {} is read", place, bytes, kMostIndexBytes);
  const auto promised = parse_safetensors_index(read_text_file(index), place);
  files_.reserve(promised.size());  // entries are pointed to
  for (const auto& [name, tensors] : promised) {
    const SafetensorsFile& file = files_.emplace_back(index.parent_path() / name);
    std::size_t found = 0;
    for (const SafetensorsEntry& entry : file.entries()) {
      if (!tensors.contains(entry.name))
        throw DataError("{}: holds tensor '{}', which {} does not place there", file.path().string(), entry.name,
                        place);
      if (!tensors_.emplace(entry.name, Tensor{&file, &entry}).second)
        throw DataError("{}: tensor '{}' stands in two files", place, entry.name);
      ++found;
    }
    if (found == tensors.size()) continue;
    for (const std::string& tensor : tensors)
      if (!tensors_.contains(tensor))
        throw DataError("{}: tensor '{}' is not there, but {} places it there", file.path().string(), tensor, place);
  }
}

}  // namespace stoa::checkpoint
