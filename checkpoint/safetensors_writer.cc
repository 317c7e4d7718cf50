#include "stoa/checkpoint/safetensors_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {
namespace {

const std::filesystem::path& created(const std::filesystem::path& path) {
  open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  return path;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries)
    : path_(path), output_(std::make_unique<ShardOutput>(created(path))) {
  const std::string header = format_safetensors_header(entries);
  bytes_ = static_cast<std::int64_t>(header.size());
  for (const SafetensorsEntry& entry : entries) bytes_ += entry.bytes;
  append(std::as_bytes(std::span(header)));
  write_block();  // so that blocks of data stand at multiples of a block
}

void SafetensorsWriter::write_block() {
  output_->write_at(offset_, {block_.get(), filled_});
  offset_ += static_cast<std::int64_t>(filled_);
  filled_ = 0;
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), static_cast<std::size_t>(kChunkBytes) - filled_);
    std::memcpy(block_.get() + filled_, bytes.data(), count);
    filled_ += count;
    bytes = bytes.subspan(count);
    if (filled_ == static_cast<std::size_t>(kChunkBytes)) write_block();
  }
}

void SafetensorsWriter::finish() {
  write_block();
  if (offset_ != bytes_)
    throw InternalError("{}: {} bytes were written, the header says {}", path_.string(), offset_, bytes_);
  output_->sync();
  output_.reset();
}

}  // namespace stoa::checkpoint
