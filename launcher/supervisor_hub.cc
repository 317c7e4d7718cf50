#include "stoa/launcher/supervisor_hub.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

using boost::asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr auto kProofTime = std::chrono::seconds(5);
/// Of all that have not proved anything yet: a flood of strangers takes no more descriptors than these.
constexpr std::size_t kMostStrangers = 1024;

tcp::acceptor listen_on(boost::asio::io_context& context, const tcp::endpoint& where, ErrorCode& error) {
  tcp::acceptor acceptor(context);
  acceptor.open(where.protocol(), error);
  if (!error && where.protocol() == tcp::v6()) acceptor.set_option(boost::asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(where, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  return acceptor;
}

tcp::acceptor listen_everywhere(boost::asio::io_context& context) {
  ErrorCode error;
  tcp::acceptor acceptor = listen_on(context, {tcp::v6(), 0}, error);
  if (!error) return acceptor;
  acceptor = listen_on(context, {tcp::v4(), 0}, error);
  if (error) throw ResourceError("the supervisor cannot listen for its ranks: {}", error.message());
  return acceptor;
}

}  // namespace

struct SupervisorHub::Line {
  Line(tcp::socket opened, const std::string& secret)
      : socket(std::move(opened)), channel(SecretChannel::Side::kSupervisor, secret) {}
  tcp::socket socket;
  SecretChannel channel;
  std::array<char, 1024> in{};
  std::string out;      ///< being written
  std::string waiting;  ///< to be written next
  std::int64_t rank = -1;
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
};

SupervisorHub::SupervisorHub(boost::asio::io_context& context, std::string secret, std::string attempt, Events events)
    : context_(context),
      secret_(std::move(secret)),
      attempt_(std::move(attempt)),
      events_(std::move(events)),
      acceptor_(listen_everywhere(context)),
      sweep_timer_(context),
      accept_timer_(context),
      port_(acceptor_.local_endpoint().port()) {
  accept();
  sweep();
}

SupervisorHub::~SupervisorHub() = default;

void SupervisorHub::accept() {
  acceptor_.async_accept([this](const ErrorCode& error, tcp::socket socket) {
    if (closed_ || error == boost::asio::error::operation_aborted) return;
    if (error) {  // too many descriptors, for one: later there may be room
      accept_timer_.expires_after(std::chrono::milliseconds(100));
      accept_timer_.async_wait([this](const ErrorCode& cancelled) {
        if (!cancelled && !closed_) accept();
      });
      return;
    }
    if (strangers_ < kMostStrangers) {
      const std::uint64_t number = next_++;
      ErrorCode ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      lines_.emplace(number, std::make_unique<Line>(std::move(socket), secret_));
      ++strangers_;
      read(number);
    }
    accept();
  });
}

void SupervisorHub::read(std::uint64_t number) {
  Line& line = *lines_.at(number);
  line.socket.async_read_some(boost::asio::buffer(line.in), [this, number](const ErrorCode& error, std::size_t bytes) {
    if (closed_ || error == boost::asio::error::operation_aborted) return;
    take(number, error ? 0 : bytes);
  });
}

void SupervisorHub::take(std::uint64_t number, std::size_t bytes) {
  const auto found = lines_.find(number);
  if (found == lines_.end()) return;
  Line& line = *found->second;
  std::vector<std::string> messages;
  std::string reply;
  const bool was_open = line.channel.is_open();
  bool good = bytes > 0 && line.channel.receive({line.in.data(), bytes}, messages, reply);
  if (!was_open && line.channel.is_open()) --strangers_;
  for (const std::string& message : messages) good = good && hear(line, message);
  if (!good) {
    if (!line.channel.is_open()) --strangers_;
    const std::int64_t rank = line.rank;
    lines_.erase(found);
    const bool came_back =
        std::any_of(lines_.begin(), lines_.end(), [&](const auto& each) { return each.second->rank == rank; });
    if (rank >= 0 && !came_back) events_.gone(rank);
    return;
  }
  if (!was_open && line.channel.is_open() && stop_ordered_)
    reply += line.channel.seal(encode(SupervisorOrder::kSaveAndStop));
  if (!reply.empty()) send(number, line, std::move(reply));
  read(number);
}

bool SupervisorHub::hear(Line& line, const std::string& message) {
  if (line.rank < 0) {
    const auto greeting = decode_greeting(message);
    if (!greeting || greeting->attempt != attempt_) return false;
    line.rank = greeting->rank;
    events_.greeted(*greeting);
    return true;
  }
  const auto beat = decode_heartbeat(message);
  if (beat) events_.beat(line.rank, *beat);
  return beat.has_value();
}

void SupervisorHub::send(std::uint64_t number, Line& line, std::string bytes) {
  line.waiting += bytes;
  if (line.out.empty()) write(number, line);
}

void SupervisorHub::write(std::uint64_t number, Line& line) {
  line.out = std::move(line.waiting);
  line.waiting.clear();
  boost::asio::async_write(line.socket, boost::asio::buffer(line.out),
                           [this, number](const ErrorCode& error, std::size_t) {
                             if (closed_ || error) return;
                             const auto found = lines_.find(number);
                             if (found == lines_.end()) return;
                             found->second->out.clear();
                             if (!found->second->waiting.empty()) write(number, *found->second);
                           });
}

void SupervisorHub::order_all(SupervisorOrder order) {
  stop_ordered_ = true;
  for (auto& [number, line] : lines_)
    if (line->channel.is_open()) send(number, *line, line->channel.seal(encode(order)));
}

void SupervisorHub::close() {
  closed_ = true;
  ErrorCode ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  sweep_timer_.cancel();
  lines_.clear();
}

void SupervisorHub::sweep() {
  const auto now = std::chrono::steady_clock::now();
  for (auto each = lines_.begin(); each != lines_.end();) {
    // An opening may be an overheard one: only the greeting, under the key of both nonces, proves something.
    const bool is_stranger = each->second->rank < 0 && now - each->second->since > kProofTime;
    if (is_stranger && !each->second->channel.is_open()) --strangers_;
    each = is_stranger ? lines_.erase(each) : std::next(each);
  }
  sweep_timer_.expires_after(std::chrono::seconds(1));
  sweep_timer_.async_wait([this](const ErrorCode& cancelled) {
    if (!cancelled && !closed_) sweep();
  });
}

}  // namespace stoa::launcher
