#pragma once
/// Files as a stream of bytes, compressed or not, read and written in bounded memory. One thread at a time.
///
/// Gzip (RFC 1952): members one after another are one stream; zero bytes after the last member (a tape's padding) are
/// passed over. Zstandard (RFC 8878): frames one after another are one stream; skippable frames are skipped; a window
/// of more than 128 MiB is refused. A compressed file of no bytes is a truncated one.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace stoa {

enum class Compression { kNone, kGzip, kZstd };

/// By the ending of the name: .gz, .zst, anything else.
Compression compression_of(std::string_view name);
/// "a.jsonl.gz" -> "a.jsonl".
std::string_view without_compression_ending(std::string_view name);

/// The uncompressed content of a file.
class InputStream {
 public:
  /// DataError where there is no such regular file.
  explicit InputStream(const std::filesystem::path& path);
  ~InputStream();
  /// Fills `out` unless the content ends before; returns the bytes read, 0 at the end. DataError where the compressed
  /// content is damaged or truncated: it names the file and the byte (of the compressed file) up to which it was read.
  std::size_t read(std::span<char> out);
  /// Passes over the next `bytes` of the content (compressed content is read for that); DataError where it ends before.
  void skip(std::int64_t bytes);
  /// Of the file as it lies on disk: read so far, and in all when it was opened.
  std::int64_t bytes_read() const;
  std::int64_t bytes_in_all() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes one new file, compressed by its name (.zst, with a checksum in each frame; anything else plain; .gz is a
/// UsageError). The caller writes beside the final name and renames.
class OutputStream {
 public:
  explicit OutputStream(const std::filesystem::path& path);
  /// Compressed by `compression`, whatever the name.
  OutputStream(const std::filesystem::path& path, Compression compression);
  ~OutputStream();
  void write(std::string_view bytes);
  /// Ends the frame and fsyncs. Without it the file is truncated.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One whole Zstandard frame.
std::string zstd_compressed(std::string_view bytes);

}  // namespace stoa
