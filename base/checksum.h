#pragma once
/// XXH3 (xxHash 0.8) for whether bytes are still what they were, compiled into the program so that it runs at the speed
/// of this processor's vectors; SHA-256 (FIPS 180-4, by OpenSSL's libcrypto) where other people name files by it.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace stoa {

std::uint64_t xxh3_64(std::span<const std::byte> bytes, std::uint64_t seed = 0);

struct Hash128 {
  std::uint64_t high = 0, low = 0;
  bool operator==(const Hash128&) const = default;
};
Hash128 xxh3_128(std::span<const std::byte> bytes);
/// 128 bits as 32 hexadecimal digits, high half first (the form `xxhsum -H2` prints).
std::string xxh3_128_hex(std::span<const std::byte> bytes);

/// 16 hexadecimal digits.
std::string hex64(std::uint64_t value);

/// The same digest over a stream of parts.
class Xxh3Stream {
 public:
  Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;
  ~Xxh3Stream();
  void update(std::span<const std::byte> bytes);
  std::uint64_t digest_64() const;
  std::string digest_128_hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 64 hexadecimal digits (the form `sha256sum` prints).
std::string sha256_hex(std::span<const std::byte> bytes);
/// 32 bytes: HMAC-SHA-256 (RFC 2104). Whoever knows the key, and nobody else, can make it.
std::string hmac_sha256(std::string_view key, std::string_view message);
/// Compares in a time that does not depend on where they differ.
bool equal_secrets(std::string_view a, std::string_view b);

/// Of a file, read in pieces. StorageError where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

/// The same digest over a stream of parts.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  ~Sha256Stream();
  void update(std::span<const std::byte> bytes);
  std::string digest_hex() const;  ///< of all parts so far; more may follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa
