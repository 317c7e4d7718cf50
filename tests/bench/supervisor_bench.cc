/// A supervisor with ten thousand ranks: what hearing all of them once a second takes, and how soon a silent one shows.
///
///   supervisor_bench [RANKS [SECONDS]]      (10000, 20)
///
/// The hub and the watch run in this process as supervisor_attempt.cc wires them. The ranks are in others, thousands of
/// sockets each, and say what real ones say: a step each two seconds, in half of the heartbeats a collective.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <fstream>
#include <memory>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/launcher/rank_watch.h"
#include "stoa/launcher/secret_channel.h"
#include "stoa/launcher/supervisor_hub.h"

namespace {

namespace asio = boost::asio;
using namespace stoa::launcher;
using asio::ip::tcp;

constexpr int kProcesses = 4;

/// One simulated rank: opens its line, then sends a heartbeat a second at a moment of its own.
class Rank {
 public:
  Rank(asio::io_context& context, int number, int port, const std::string& secret)
      : socket_(context), timer_(context), channel_(SecretChannel::Side::kRank, secret), number_(number) {
    // A source address has some 28,000 ports; several share the ranks.
    socket_.open(tcp::v4());
    socket_.bind({asio::ip::make_address(fmt::format("127.0.0.{}", 2 + number % 4)), 0});
    socket_.connect({asio::ip::make_address("127.0.0.1"), static_cast<unsigned short>(port)});
    asio::write(socket_, asio::buffer(channel_.opening()));
    std::array<char, 32> answer{};
    asio::read(socket_, asio::buffer(answer));
    std::vector<std::string> none;
    std::string reply;
    if (!channel_.receive({answer.data(), answer.size()}, none, reply)) std::abort();
    asio::write(
        socket_,
        asio::buffer(channel_.seal(encode(RankGreeting{number, "1", fmt::format("node{}", number / 8), "build", ""}))));
    timer_.expires_after(std::chrono::milliseconds(number % 1000));
    wait();
  }

 private:
  void wait() {
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      ++beats_;
      const Heartbeat beat{
          .phase = stoa::trainer::LoopPhase::kTraining,
          .step = beats_ / 2,
          .changes = std::uint64_t(beats_),
          .step_s = 2,
          .waiting = (beats_ + number_) % 2 == 0 ? "all_reduce gradients in the data group of ranks 0-255" : "",
          .waiting_s = 0.1};
      asio::write(socket_, asio::buffer(channel_.seal(encode(beat))));
      timer_.expires_at(timer_.expiry() + std::chrono::seconds(1));
      wait();
    });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  SecretChannel channel_;
  int number_;
  std::int64_t beats_ = 0;
};

[[noreturn]] void be_ranks(int first, int last, int port, const std::string& secret) {
  asio::io_context context;
  std::vector<std::unique_ptr<Rank>> ranks;
  for (int number = first; number < last; ++number)
    ranks.push_back(std::make_unique<Rank>(context, number, port, secret));
  context.run();
  ::_exit(0);
}

double cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + 1e-6 * double(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double peak_mib() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const int ranks = count > 1 ? std::atoi(arguments[1]) : 10'000;
  const int seconds = count > 2 ? std::atoi(arguments[2]) : 20;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  const stoa::SystemClock clock;
  asio::io_context context;
  const std::string secret = make_secret();
  RankWatch watch(ranks, {}, clock.monotonic_s());
  std::int64_t beats = 0;
  SupervisorHub hub(context, secret, "1",
                    {.greeted = [&](const RankGreeting& greeting) { watch.greet(greeting, clock.monotonic_s()); },
                     .beat =
                         [&](std::int64_t rank, const Heartbeat& beat) {
                           ++beats;
                           watch.hear(rank, beat, clock.monotonic_s());
                         },
                     .gone = [](std::int64_t) {}});
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    if (child == 0) be_ranks(ranks * i / kProcesses, ranks * (i + 1) / kProcesses, hub.port(), secret);
    children.push_back(child);
  }

  // As the supervisor does: a look each second.
  asio::steady_timer timer(context);
  std::optional<double> hang_s;
  const std::function<void()> look = [&] {
    const double now_s = clock.monotonic_s();
    if (!hang_s && watch.hang(now_s)) hang_s = now_s;
    (void)watch.straggler();
    timer.expires_after(std::chrono::seconds(1));
    timer.async_wait([&](const boost::system::error_code& error) {
      if (!error) look();
    });
  };
  look();

  const double begin_s = clock.monotonic_s();
  while (watch.greeted() < ranks && clock.monotonic_s() - begin_s < 120) context.run_for(std::chrono::milliseconds(20));
  const double connected_s = clock.monotonic_s() - begin_s;
  context.run_for(std::chrono::seconds(3));
  const std::int64_t beats_before = beats;
  const double cpu_before = cpu_s();
  const double from_s = clock.monotonic_s();
  context.run_for(std::chrono::seconds(seconds));
  const double window_s = clock.monotonic_s() - from_s;
  const double cpu = (cpu_s() - cpu_before) / window_s;
  const double heard = double(beats - beats_before) / window_s;

  // All stand still from here on: the processes of the ranks are frozen.
  const double still_s = clock.monotonic_s();
  for (const pid_t child : children) ::kill(child, SIGSTOP);
  while (!hang_s && clock.monotonic_s() - still_s < 60) context.run_for(std::chrono::milliseconds(50));
  const double found_s = hang_s.value_or(still_s + 1e9) - still_s;
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }

  fmt::print("| {} ranks, a heartbeat a second each | asked | seen |\n|---|---|---|\n", watch.greeted());
  fmt::print("| of one core | 25 % | {:.1f} % |\n", cpu * 100);
  fmt::print("| memory at most | 200 MiB | {:.0f} MiB |\n", peak_mib());
  fmt::print("| heartbeats heard a second | {} | {:.0f} |\n", ranks, heard);
  fmt::print("| all connected after | | {:.1f} s |\n", connected_s);
  fmt::print("| all frozen, found (3 steps of {:g} s + 3 s) | 11 s | {:.1f} s |\n", watch.median_step_s().value_or(0),
             found_s);
}
