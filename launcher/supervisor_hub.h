#pragma once
/// The supervisor's end of its ranks' lines: listens, lets in whoever proves that it knows the job's secret, hands out
/// what they say and sends orders. One thread, that of the io_context.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "stoa/launcher/heartbeat.h"
#include "stoa/launcher/secret_channel.h"

namespace stoa::launcher {

class SupervisorHub {
 public:
  struct Events {
    std::function<void(const RankGreeting&)> greeted;
    std::function<void(std::int64_t rank, const Heartbeat&)> beat;
    std::function<void(std::int64_t rank)> gone;  ///< its line was closed or broke
  };
  /// Listens on every address of this machine, on a port that the system chooses. `attempt`: greetings of another one
  /// are not let in. ResourceError where no port can be had. Borrows the context.
  SupervisorHub(boost::asio::io_context& context, std::string secret, std::string attempt, Events events);
  /// REQUIRES: the context runs no handler any more, or has run all that were ready since close().
  ~SupervisorHub();
  SupervisorHub(const SupervisorHub&) = delete;
  SupervisorHub& operator=(const SupervisorHub&) = delete;

  int port() const { return port_; }
  /// To all ranks that are connected and to those that will be.
  void order_all(SupervisorOrder order);
  /// Closes all lines and listens no more. Handlers that were ready do nothing from now on: run them before the end.
  void close();

 private:
  struct Line;

  void accept();
  void read(std::uint64_t number);
  void take(std::uint64_t number, std::size_t bytes);
  /// False: the rank is not of this attempt, or talks nonsense.
  bool hear(Line& line, const std::string& message);
  void send(std::uint64_t number, Line& line, std::string bytes);
  void write(std::uint64_t number, Line& line);
  /// Strangers that prove nothing for some seconds are closed.
  void sweep();

  boost::asio::io_context& context_;
  std::string secret_;
  std::string attempt_;
  Events events_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer sweep_timer_;
  boost::asio::steady_timer accept_timer_;
  int port_ = 0;
  std::uint64_t next_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Line>> lines_;
  std::size_t strangers_ = 0;
  bool stop_ordered_ = false;
  bool closed_ = false;
};

}  // namespace stoa::launcher
