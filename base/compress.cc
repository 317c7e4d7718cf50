#include "stoa/base/compress.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"

namespace stoa {
namespace {

constexpr std::size_t kBufferBytes = 1 << 18;
constexpr int kGzipOnly = 16 + MAX_WBITS;
constexpr int kMostWindowLog = 27;  // 128 MiB

std::size_t read_some(int fd, std::span<char> out, const std::filesystem::path& path) {
  for (;;) {
    const ssize_t got = ::read(fd, out.data(), out.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw StorageError("{}: read failed: {}", path.string(), errno_message(errno));
  }
}

/// What a compressed file is read through.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Decodes a part of `in`, which is empty where only what was kept back is asked for, into a part of `out` and takes
  /// both parts off the spans. REQUIRES: `out` is not empty.
  virtual void decode(std::span<const char>& in, std::span<char>& out) = 0;
  /// Whether content may end after what was decoded last.
  virtual bool may_end() const = 0;
  /// Set by the decoder where the input is not what it must be.
  const std::string& damage() const { return damage_; }

 protected:
  std::string damage_;
};

class GzipDecoder final : public Decoder {
 public:
  GzipDecoder() {
    if (::inflateInit2(&stream_, kGzipOnly) != Z_OK) throw ResourceError("no memory for reading gzip");
  }
  ~GzipDecoder() override { ::inflateEnd(&stream_); }

  void decode(std::span<const char>& in, std::span<char>& out) override {
    if (between_members_ && !begin_member(in)) return;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), std::size_t{1} << 30));
    const std::size_t offered = stream_.avail_out;
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    in = in.last(stream_.avail_in);
    out = out.subspan(offered - stream_.avail_out);
    if (result == Z_STREAM_END) {
      between_members_ = true;
      any_member_ = true;
    } else if (result == Z_MEM_ERROR) {
      throw ResourceError("no memory for reading gzip");
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      damage_ = stream_.msg != nullptr ? stream_.msg : "damaged gzip";
    }
  }

  bool may_end() const override { return between_members_ && any_member_; }

 private:
  /// False where only padding was seen.
  bool begin_member(std::span<const char>& in) {
    if (any_member_) {
      const auto content = std::find_if(in.begin(), in.end(), [](char byte) { return byte != 0; });
      if (content != in.begin()) padding_ = true;
      in = in.subspan(static_cast<std::size_t>(content - in.begin()));
      if (in.empty()) return false;
      if (padding_) {
        damage_ = "neither a gzip member nor padding after the last member";
        return false;
      }
      ::inflateReset(&stream_);
    }
    between_members_ = false;
    return true;
  }

  z_stream stream_{};
  bool between_members_ = true;
  bool any_member_ = false;
  bool padding_ = false;
};

class ZstdDecoder final : public Decoder {
 public:
  ZstdDecoder() : stream_(ZSTD_createDCtx()) {
    if (stream_ == nullptr) throw ResourceError("no memory for reading zstd");
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kMostWindowLog);
  }
  ~ZstdDecoder() override { ZSTD_freeDCtx(stream_); }

  void decode(std::span<const char>& in, std::span<char>& out) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t result = ZSTD_decompressStream(stream_, &output, &input);
    if (ZSTD_isError(result) != 0U) {
      const ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
      if (code == ZSTD_error_memory_allocation) throw ResourceError("no memory for reading zstd");
      damage_ = code == ZSTD_error_frameParameter_windowTooLarge
                    ? "its window is larger than 128 MiB; compress it again without --long or --ultra"
                    : ZSTD_getErrorName(result);
      return;
    }
    in = in.subspan(input.pos);
    out = out.subspan(output.pos);
    frame_ended_ = result == 0;
  }

  bool may_end() const override { return frame_ended_; }

 private:
  ZSTD_DCtx* stream_;
  bool frame_ended_ = false;
};

std::unique_ptr<Decoder> decoder_for(Compression compression) {
  if (compression == Compression::kGzip) return std::make_unique<GzipDecoder>();
  if (compression == Compression::kZstd) return std::make_unique<ZstdDecoder>();
  return nullptr;
}

const char* format_name(Compression compression) { return compression == Compression::kGzip ? "gzip" : "zstd"; }

}  // namespace

Compression compression_of(std::string_view name) {
  if (name.ends_with(".gz")) return Compression::kGzip;
  return name.ends_with(".zst") ? Compression::kZstd : Compression::kNone;
}

std::string_view without_compression_ending(std::string_view name) {
  const Compression compression = compression_of(name);
  if (compression == Compression::kNone) return name;
  return name.substr(0, name.rfind('.'));
}

struct InputStream::State {
  std::filesystem::path path;
  Compression compression = Compression::kNone;
  FileDescriptor file;
  std::unique_ptr<Decoder> decoder;
  std::vector<char> buffer;
  std::span<const char> input;  // not decoded yet, in `buffer`
  bool at_end_of_file = false;
  bool decoder_is_full = false;  // it filled `out` last: it may hold more without new input
  std::int64_t taken = 0;        // from the file
  std::int64_t in_all = 0;

  std::size_t decode_some(std::span<char> out) {
    std::span<char> room = out;
    while (room.size() == out.size()) {
      if (input.empty() && !at_end_of_file && !decoder_is_full) {
        const std::size_t got = read_some(file.get(), buffer, path);
        at_end_of_file = got == 0;
        taken += static_cast<std::int64_t>(got);
        input = std::span<const char>(buffer).first(got);
      }
      if (input.empty() && at_end_of_file && !decoder_is_full) {
        if (decoder->may_end()) return 0;
        throw DataError("{}: byte {}: the {} content is truncated: the file ends inside it", path.string(), taken,
                        format_name(compression));
      }
      decoder->decode(input, room);
      decoder_is_full = room.empty();
      if (!decoder->damage().empty())
        throw DataError("{}: byte {}: damaged {} content: {}", path.string(),
                        taken - static_cast<std::int64_t>(input.size()), format_name(compression), decoder->damage());
      if (decoder_is_full && input.empty() && decoder->may_end()) decoder_is_full = false;
    }
    return out.size() - room.size();
  }
};

InputStream::InputStream(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) throw DataError("{}: no such file", path.string());
  state_->path = path;
  state_->compression = compression_of(path.string());
  state_->file = open_file(path, O_RDONLY);
  state_->in_all = static_cast<std::int64_t>(std::filesystem::file_size(path, failure));
  state_->decoder = decoder_for(state_->compression);
  if (state_->decoder) state_->buffer.resize(kBufferBytes);
}

InputStream::~InputStream() = default;

std::size_t InputStream::read(std::span<char> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const std::span<char> room = out.subspan(filled);
    const std::size_t got =
        state_->decoder ? state_->decode_some(room) : read_some(state_->file.get(), room, state_->path);
    if (!state_->decoder) state_->taken += static_cast<std::int64_t>(got);
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

void InputStream::skip(std::int64_t bytes) {
  const auto ends_before = [&](std::int64_t missing) {
    throw DataError("{}: its content ends {} bytes before byte {}", state_->path.string(), missing, bytes);
  };
  if (!state_->decoder) {
    if (bytes > state_->in_all - state_->taken) ends_before(bytes - (state_->in_all - state_->taken));
    if (::lseek(state_->file.get(), bytes, SEEK_CUR) < 0)
      throw StorageError("{}: seek failed: {}", state_->path.string(), errno_message(errno));
    state_->taken += bytes;
    return;
  }
  std::vector<char> passed(kBufferBytes);
  for (std::int64_t left = bytes; left > 0;) {
    const auto part = static_cast<std::size_t>(std::min<std::int64_t>(left, static_cast<std::int64_t>(passed.size())));
    const std::size_t got = read(std::span(passed).first(part));
    if (got == 0) ends_before(left);
    left -= static_cast<std::int64_t>(got);
  }
}

std::int64_t InputStream::bytes_read() const { return state_->taken - static_cast<std::int64_t>(state_->input.size()); }
std::int64_t InputStream::bytes_in_all() const { return state_->in_all; }

struct OutputStream::State {
  std::filesystem::path path;
  FileDescriptor file;
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> stream{nullptr, ZSTD_freeCCtx};
  std::vector<char> buffer;

  void compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output{buffer.data(), buffer.size(), 0};
      const std::size_t left = ZSTD_compressStream2(stream.get(), &output, &input, directive);
      if (ZSTD_isError(left) != 0U)
        throw InternalError("{}: zstd could not compress: {}", path.string(), ZSTD_getErrorName(left));
      write_all(file.get(), std::as_bytes(std::span(buffer).first(output.pos)), path);
      if (directive == ZSTD_e_end ? left == 0 : input.pos == input.size) return;
    }
  }
};

OutputStream::OutputStream(const std::filesystem::path& path) : OutputStream(path, compression_of(path.string())) {}

OutputStream::OutputStream(const std::filesystem::path& path, Compression compression)
    : state_(std::make_unique<State>()) {
  if (compression == Compression::kGzip)
    throw UsageError("{}: gzip is read only; write .zst or a plain file", path.string());
  state_->path = path;
  state_->file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (compression == Compression::kNone) return;
  state_->stream.reset(ZSTD_createCCtx());
  if (!state_->stream) throw ResourceError("no memory for writing zstd");
  ZSTD_CCtx_setParameter(state_->stream.get(), ZSTD_c_checksumFlag, 1);
  state_->buffer.resize(kBufferBytes);
}

OutputStream::~OutputStream() = default;

void OutputStream::write(std::string_view bytes) {
  if (state_->stream)
    state_->compress(bytes, ZSTD_e_continue);
  else
    write_all(state_->file.get(), std::as_bytes(std::span(bytes)), state_->path);
}

void OutputStream::finish() {
  if (state_->stream) state_->compress({}, ZSTD_e_end);
  sync_file(state_->file.get(), state_->path);
}

std::string zstd_compressed(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0U) throw InternalError("zstd could not compress: {}", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace stoa
