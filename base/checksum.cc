#include "stoa/base/checksum.h"

#include <fcntl.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"

namespace stoa {
namespace {

std::string hex128(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

// libcrypto fails here only without memory or where its SHA-256 has been configured away.
void require(int result) {
  if (result != 1) throw InternalError("libcrypto refused to compute a SHA-256 digest");
}

}  // namespace

struct Xxh3Stream::State {
  XXH3_state_t xxh;
};

std::uint64_t xxh3_64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Hash128 xxh3_128(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

std::string xxh3_128_hex(std::span<const std::byte> bytes) { return hex128(XXH3_128bits(bytes.data(), bytes.size())); }

std::string hex64(std::uint64_t value) { return fmt::format("{:016x}", value); }

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;
Xxh3Stream::~Xxh3Stream() = default;

void Xxh3Stream::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t Xxh3Stream::digest_64() const { return XXH3_64bits_digest(&state_->xxh); }
std::string Xxh3Stream::digest_128_hex() const { return hex128(XXH3_128bits_digest(&state_->xxh)); }

struct Sha256Stream::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256Stream stream;
  stream.update(bytes);
  return stream.digest_hex();
}

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  require(state_->digest != nullptr);
  require(EVP_DigestInit_ex(state_->digest.get(), EVP_sha256(), nullptr));
}
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->digest.get(), bytes.data(), bytes.size()));
}

std::string Sha256Stream::digest_hex() const {
  const State copy;
  require(copy.digest != nullptr);
  require(EVP_MD_CTX_copy_ex(copy.digest.get(), state_->digest.get()));
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(copy.digest.get(), bytes.data(), &size));
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string digest(32, '\0');
  unsigned size = 0;
  const auto* made = ::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                            reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                            reinterpret_cast<unsigned char*>(digest.data()), &size);
  require(made != nullptr && size == digest.size() ? 1 : 0);
  return digest;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  const FileDescriptor file = open_file(path, O_RDONLY);
  std::vector<std::byte> buffer(std::size_t{1} << 18);
  Sha256Stream digest;
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: read failed: {}", path.string(), errno_message(errno));
    if (got == 0) return digest.digest_hex();
    digest.update(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace stoa
