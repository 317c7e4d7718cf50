#include "stoa/launcher/supervisor_attempt.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/launcher/rank_reporter.h"
#include "stoa/launcher/supervisor_hub.h"

namespace stoa::launcher {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr auto kKillAfter = std::chrono::seconds(5);
/// For a rank whose line broke to come back on another; for the others to tell what they know of one that is gone.
constexpr auto kAfterLoss = std::chrono::milliseconds(2500);
constexpr double kLookEvery_s = 1;
constexpr std::int64_t kBindingsTold = 64;
constexpr double kTellStragglerEvery_s = 600;

/// Names and addresses under which other nodes may reach this one, the likeliest first.
std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) == 0) {
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
      const bool up = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
      if (!up || each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
      char text[NI_MAXHOST] = {};
      if (::getnameinfo(each->ifa_addr, sizeof(sockaddr_in), text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
        found.emplace_back(text);
    }
    ::freeifaddrs(list);
  }
  found.emplace_back("127.0.0.1");
  return found;
}

std::string owner_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) return "";
  const passwd* user = ::getpwuid(status.st_uid);
  return user != nullptr ? user->pw_name : fmt::format("user {}", status.st_uid);
}

class Supervision {
 public:
  Supervision(asio::io_context& context, asio::signal_set& signals, Allocation& allocation, RankLaunch launch,
              const AttemptRules& rules, const AttemptEvents& events, const Clock& clock)
      : context_(context),
        signals_(signals),
        allocation_(allocation),
        rules_(rules),
        events_(events),
        clock_(clock),
        tick_(context_),
        output_(context_),
        watch_(rules.ranks, rules.watch, clock.monotonic_s()),
        secret_(make_secret()),
        hub_(context_, secret_, rules.attempt,
             {.greeted = [this](const RankGreeting& greeting) { greet(greeting); },
              .beat = [this](std::int64_t rank,
                             const Heartbeat& beat) { watch_.hear(rank, beat, clock_.monotonic_s()); },
              .gone = [this](std::int64_t rank) { lose(rank); }}),
        process_(settings(std::move(launch))) {}

  AttemptEnd run() {
    listen_to_signals();
    output_.assign(::dup(process_.output()));
    read_output();
    tick();
    context_.run();
    if (!lines_.rest().empty()) events_.line(lines_.rest());
    end_.process = process_.wait();
    close();
    return end_;
  }

 private:
  ProcessSettings settings(RankLaunch launch) {
    launch.environment[kSupervisorVariable] =
        to_variable({.hosts = own_addresses(), .port = hub_.port(), .secret = secret_});
    launch.environment[kSecretVariable] = secret_;
    ProcessSettings command = allocation_.ranks(launch);
    command.standard_output = ProcessSettings::Output::kPipe;
    return command;
  }

  void listen_to_signals() {
    signals_.async_wait([this](const ErrorCode& error, int number) { heard_signal(error, number); });
  }

  void heard_signal(const ErrorCode& error, int number) {
    if (error) return;
    if (closed_) {  // the next attempt's
      ::raise(number);
      return;
    }
    ask({.request = StopRequest::kSave,
         .cause = cluster::EndCause::kSignal,
         .signal = number,
         .text = fmt::format("signal {}", ::sigabbrev_np(number))});
    signals_.async_wait([this](const ErrorCode& later, int next) { heard_signal(later, next); });
  }

  void read_output() {
    output_.async_read_some(asio::buffer(bytes_), [this](const ErrorCode& error, std::size_t got) {
      if (closed_ || error == asio::error::operation_aborted) return;
      if (error) return close_output();
      lines_.append({bytes_.data(), got});
      while (const auto line = lines_.next()) events_.line(*line);
      quiet_ticks_ = 0;
      read_output();
    });
  }

  void close_output() {
    ErrorCode ignored;
    output_.close(ignored);
    open_ = false;
  }

  void greet(const RankGreeting& greeting) {
    watch_.greet(greeting, clock_.monotonic_s());
    if (kill_at_ && greeting.rank == lost_) {  // only its line had broken
      kill_at_.reset();
      end_.gone_text.clear();
    }
    if (greeting.rank < kBindingsTold && allocation_.outlive_each_other())
      events_.told(fmt::format("rank {} on {}: {}", greeting.rank, greeting.host, greeting.binding));
    if (const auto defect = watch_.build_defect(); defect && end_.build_defect.empty()) {
      end_.build_defect = *defect;
      kill();
    }
  }

  /// A rank that failed has written its story before its line breaks; one that was killed has none.
  void lose(std::int64_t rank) {
    if (watch_.is_ending(rank) || !end_.gone_text.empty()) return;
    lost_ = rank;
    end_.gone_text = fmt::format("rank {} on {} is gone", rank, watch_.host_of(rank));
    if (allocation_.outlive_each_other()) kill_at_ = std::chrono::steady_clock::now() + kAfterLoss;
  }

  /// What has no event of its own is looked at a few times a second.
  void tick() {
    if (process_.poll()) {
      // Ranks may outlive the process that started them and keep the pipe open: its end is what counts.
      if (!open_ || ++quiet_ticks_ > 2) return finish();
    }
    const double now_s = clock_.monotonic_s();
    if (now_s - looked_s_ >= kLookEvery_s) look(now_s);
    const auto now = std::chrono::steady_clock::now();
    if (kill_at_ && now > *kill_at_) kill();
    if (killing_ && !forced_ && now > force_at_) {
      forced_ = true;
      allocation_.force_ranks(process_);
    }
    tick_.expires_after(kTick);
    tick_.async_wait([this](const ErrorCode& cancelled) {
      if (!cancelled && !closed_) tick();
    });
  }

  void finish() {
    close_output();
    context_.stop();
  }

  /// Handlers that are ready, and those that are cancelled here, run once more while what they point to is still there.
  void close() {
    closed_ = true;
    ErrorCode ignored;
    signals_.cancel(ignored);
    hub_.close();
    context_.restart();
    context_.poll();
    context_.restart();
  }

  void look(double now_s) {
    looked_s_ = now_s;
    if (const auto asked = events_.user_asked ? events_.user_asked() : std::nullopt; asked && !user_heard_) {
      user_heard_ = true;
      const bool pause = asked->request == cluster::UserRequest::kPause;
      ask({.request = StopRequest::kSave,
           .cause = pause ? cluster::EndCause::kPause : cluster::EndCause::kCancel,
           .text = fmt::format("{} asks to {}", asked->user, cluster::request_name(asked->request))});
    }
    if (end_.stop.request == StopRequest::kNone && !rules_.switch_file.empty()) {
      if (const std::string owner = owner_of(rules_.switch_file); !owner.empty())
        ask({.request = StopRequest::kSave,
             .cause = cluster::EndCause::kSwitchFile,
             .text = fmt::format("{}, made by {}", rules_.switch_file.string(), owner)});
    }
    if (rules_.save_at_unix_s && clock_.unix_s() >= *rules_.save_at_unix_s && !limit_heard_) {
      limit_heard_ = true;
      ask({.request = StopRequest::kSave, .cause = cluster::EndCause::kTimeLimit, .text = "the time limit is near"});
    }
    judge(now_s);
  }

  void judge(double now_s) {
    if (!end_.hang && !killing_) {
      end_.hang = watch_.hang(now_s);
      if (end_.hang) {
        if (!end_.hang->culprits.empty()) end_.culprit_host = watch_.host_of(end_.hang->culprits.front());
        events_.told(
            fmt::format("no rank has made progress for {}:\n{}", format_duration(end_.hang->still_s), end_.hang->text));
        kill();
      }
    }
    if (const auto slow = watch_.straggler(); slow && now_s >= tell_straggler_s_) {
      tell_straggler_s_ = now_s + kTellStragglerEvery_s;
      events_.told(fmt::format("{} is slower than the others: its ranks wait {:.0f} % of the time, the others {:.0f} %",
                               slow->host, slow->waits * 100, slow->others_wait * 100));
    }
  }

  void ask(StopOrder order) {
    const bool first = end_.stop.request == StopRequest::kNone;
    if (!first) {
      // The first cause stays, unless it was a signal that says nothing by itself.
      if (order.cause != cluster::EndCause::kSignal && end_.stop.cause == cluster::EndCause::kSignal)
        end_.stop.cause = order.cause;
      end_.stop.signal = order.signal != 0 ? order.signal : end_.stop.signal;
      if (order.signal == 0 || !allocation_.stops_at_second_request()) return;
      end_.stop.request = StopRequest::kAtOnce;
      events_.stop_asked(end_.stop);
      return kill();
    }
    end_.stop = std::move(order);
    hub_.order_all(SupervisorOrder::kSaveAndStop);
    allocation_.ask_ranks_to_save(process_);
    events_.stop_asked(end_.stop);
  }

  void kill() {
    if (killing_) return;
    killing_ = true;
    force_at_ = std::chrono::steady_clock::now() + kKillAfter;
    allocation_.kill_ranks(process_);
  }

  asio::io_context& context_;
  asio::signal_set& signals_;
  Allocation& allocation_;
  AttemptRules rules_;
  const AttemptEvents& events_;
  const Clock& clock_;
  asio::steady_timer tick_;
  asio::posix::stream_descriptor output_;
  RankWatch watch_;
  std::string secret_;
  SupervisorHub hub_;
  Process process_;
  std::array<char, 65536> bytes_{};
  LineBuffer lines_;
  AttemptEnd end_;
  bool open_ = true;
  int quiet_ticks_ = 0;
  double looked_s_ = 0;
  double tell_straggler_s_ = 0;
  bool user_heard_ = false;
  bool limit_heard_ = false;
  bool killing_ = false;
  bool forced_ = false;
  std::int64_t lost_ = -1;
  bool closed_ = false;
  std::optional<std::chrono::steady_clock::time_point> kill_at_;
  std::chrono::steady_clock::time_point force_at_;
};

}  // namespace

struct AttemptRunner::State {
  asio::io_context context;
  asio::signal_set signals{context};
};

AttemptRunner::AttemptRunner(int warning_signal) : state_(std::make_unique<State>()) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) state_->signals.add(number);
  if (warning_signal != 0) state_->signals.add(warning_signal);
}

AttemptRunner::~AttemptRunner() = default;

AttemptEnd AttemptRunner::run(Allocation& allocation, RankLaunch launch, const AttemptRules& rules,
                              const AttemptEvents& events, const Clock& clock) {
  return Supervision(state_->context, state_->signals, allocation, std::move(launch), rules, events, clock).run();
}

}  // namespace stoa::launcher
