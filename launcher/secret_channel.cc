#include "stoa/launcher/secret_channel.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

constexpr std::string_view kMagic = "STOA1";
constexpr std::size_t kNonce = 16;
constexpr std::size_t kMac = 16;
constexpr std::size_t kSize = 4;

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (::getrandom(bytes.data(), count, 0) != static_cast<ssize_t>(count))
    throw ResourceError("no random bytes from the system: {}", errno_message(errno));
  return bytes;
}

std::string mac(std::string_view key, std::string_view message) { return hmac_sha256(key, message).substr(0, kMac); }

std::string counted(char direction, std::uint64_t sequence, std::string_view message) {
  std::string text(1, direction);
  text.append(reinterpret_cast<const char*>(&sequence), sizeof sequence);
  return text.append(message);
}

constexpr char direction(SecretChannel::Side sender) { return sender == SecretChannel::Side::kRank ? 'r' : 's'; }
constexpr SecretChannel::Side other(SecretChannel::Side side) {
  return side == SecretChannel::Side::kRank ? SecretChannel::Side::kSupervisor : SecretChannel::Side::kRank;
}

}  // namespace

std::string make_secret() {
  std::string text;
  for (const char byte : random_bytes(32)) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

SecretChannel::SecretChannel(Side side, std::string secret)
    : side_(side), secret_(std::move(secret)), nonce_(random_bytes(kNonce)) {}

std::string SecretChannel::opening() const { return std::string(kMagic) + nonce_ + mac(secret_, "rank" + nonce_); }

bool SecretChannel::open(std::string_view bytes, std::string& reply) {
  if (side_ == Side::kSupervisor) {
    const std::string_view theirs = bytes.substr(kMagic.size(), kNonce);
    const std::string_view proof = bytes.substr(kMagic.size() + kNonce, kMac);
    if (!bytes.starts_with(kMagic) || !equal_secrets(proof, mac(secret_, std::string("rank").append(theirs))))
      return false;
    const std::string both = std::string(theirs) + nonce_;
    reply += nonce_ + mac(secret_, "supervisor" + both);
    key_ = hmac_sha256(secret_, "key" + both);
    return true;
  }
  const std::string both = nonce_ + std::string(bytes.substr(0, kNonce));
  if (!equal_secrets(bytes.substr(kNonce, kMac), mac(secret_, "supervisor" + both))) return false;
  key_ = hmac_sha256(secret_, "key" + both);
  return true;
}

bool SecretChannel::receive(std::string_view bytes, std::vector<std::string>& messages, std::string& reply) {
  if (broken_) return false;
  held_.append(bytes);
  std::string_view rest = held_;
  broken_ = true;  // until the end of this call shows that nothing was wrong
  if (!is_open()) {
    const std::size_t needed = kNonce + kMac + (side_ == Side::kSupervisor ? kMagic.size() : 0);
    // A stranger learns nothing from how many bytes it takes: the first wrong one ends it.
    if (side_ == Side::kSupervisor && rest.substr(0, kMagic.size()) != kMagic.substr(0, rest.size())) return false;
    if (rest.size() < needed) return !(broken_ = false);
    if (!open(rest.substr(0, needed), reply)) return false;
    rest.remove_prefix(needed);
  }
  for (;;) {
    if (rest.size() < kSize + kMac) break;
    std::uint32_t size = 0;
    std::memcpy(&size, rest.data(), kSize);
    if (size > kMostBytes) return false;
    if (rest.size() < kSize + kMac + size) break;
    const std::string_view message = rest.substr(kSize + kMac, size);
    if (!equal_secrets(rest.substr(kSize, kMac), mac(key_, counted(direction(other(side_)), received_, message))))
      return false;
    ++received_;
    messages.emplace_back(message);
    rest.remove_prefix(kSize + kMac + size);
  }
  held_.erase(0, held_.size() - rest.size());
  broken_ = false;
  return true;
}

std::string SecretChannel::seal(std::string_view message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::string bytes(reinterpret_cast<const char*>(&size), kSize);
  bytes += mac(key_, counted(direction(side_), sent_++, message));
  return bytes.append(message);
}

}  // namespace stoa::launcher
