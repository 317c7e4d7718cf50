#include "stoa/launcher/rank_reporter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "stoa/base/error.h"
#include "stoa/launcher/secret_channel.h"

namespace stoa::launcher {
namespace {

constexpr int kBeatMs = 1000;
constexpr int kConnectMs = 3000;

struct FreeAddresses {
  void operator()(addrinfo* found) const { ::freeaddrinfo(found); }
};

/// A connection within kConnectMs; an empty descriptor where there is none.
FileDescriptor connect_to(const addrinfo& where) {
  FileDescriptor socket(::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return {};
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.get(), where.ai_addr, where.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return {};
    pollfd ready{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, kConnectMs) != 1) return {};
    int failure = 0;
    socklen_t size = sizeof failure;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size) != 0 || failure != 0) return {};
  }
  return socket;
}

FileDescriptor connect_to(const SupervisorAddress& address) {
  for (const std::string& host : address.hosts) {
    const addrinfo hints{.ai_flags = AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), fmt::format("{}", address.port).c_str(), &hints, &found) != 0) continue;
    const std::unique_ptr<addrinfo, FreeAddresses> all(found);
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next)
      if (FileDescriptor socket = connect_to(*each)) return socket;
  }
  return {};
}

/// False where the connection is gone. A supervisor that reads nothing for a second is as good as gone.
bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return false;
    pollfd ready{.fd = socket, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, kBeatMs) == 0) return false;
  }
  return true;
}

}  // namespace

std::string to_variable(const SupervisorAddress& address) {
  return fmt::format("{}:{}", fmt::join(address.hosts, ","), address.port);
}

std::optional<SupervisorAddress> supervisor_from_environment() {
  const char* where = std::getenv(kSupervisorVariable);
  const char* secret = std::getenv(kSecretVariable);
  if (where == nullptr || secret == nullptr) return std::nullopt;
  SupervisorAddress address{.hosts = {}, .port = 0, .secret = secret};
  ::unsetenv(kSecretVariable);
  const std::string_view text = where;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), address.port);
  std::string_view hosts = text.substr(0, colon);
  for (;;) {
    const std::size_t comma = hosts.find(',');
    address.hosts.emplace_back(hosts.substr(0, comma));
    if (comma == std::string_view::npos) return address;
    hosts.remove_prefix(comma + 1);
  }
}

RankReporter::RankReporter(SupervisorAddress address, RankGreeting greeting, Sources sources)
    : address_(std::move(address)),
      greeting_(std::move(greeting)),
      sources_(std::move(sources)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throw ResourceError("eventfd: {}", errno_message(errno));
  // Signals are for the thread that trains.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { work(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RankReporter::~RankReporter() {
  ending_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void RankReporter::work() {
  while (!ending_) {
    if (const FileDescriptor socket = connect_to(address_)) talk(socket.get());
    pollfd woken{.fd = wake_.get(), .events = POLLIN, .revents = 0};
    if (!ending_) ::poll(&woken, 1, kBeatMs);
  }
}

void RankReporter::talk(int socket) {
  SecretChannel channel(SecretChannel::Side::kRank, address_.secret);
  if (!send_all(socket, channel.opening())) return;
  pollfd waited[] = {{.fd = socket, .events = POLLIN, .revents = 0},
                     {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  bool greeted = false;
  for (;;) {
    const bool last = ending_;
    if (channel.is_open()) {
      std::string bytes = greeted ? "" : channel.seal(encode(greeting_));
      greeted = true;
      if (!send_all(socket, bytes + channel.seal(encode(sources_.beat())))) return;
    }
    if (last) return;
    if (::poll(waited, 2, kBeatMs) < 0 && errno != EINTR) return;
    if (waited[0].revents == 0) continue;
    char bytes[4096];
    const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    std::vector<std::string> messages;
    std::string reply;
    if (got > 0 && !channel.receive({bytes, static_cast<std::size_t>(got)}, messages, reply)) return;
    for (const std::string& message : messages)
      if (const auto order = decode_order(message)) sources_.obey(*order);
  }
}

}  // namespace stoa::launcher
