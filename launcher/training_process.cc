#include "stoa/launcher/training_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

constexpr int kPollMs = 100;
constexpr auto kKillAfter = std::chrono::seconds(5);

/// Takes the stop signals out of the ordinary way for as long as it lives and hands them out one by one.
class StopSignals {
 public:
  StopSignals() {
    sigset_t stops;
    sigemptyset(&stops);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stops, number);
    ::pthread_sigmask(SIG_BLOCK, &stops, &before_);
    fd_ = FileDescriptor(::signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_) throw ResourceError("signalfd: {}", errno_message(errno));
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  int fd() const { return fd_.get(); }
  /// 0 where none has come.
  int take() {
    signalfd_siginfo information{};
    return ::read(fd_.get(), &information, sizeof information) == sizeof information
               ? static_cast<int>(information.ssi_signo)
               : 0;
  }

 private:
  sigset_t before_{};
  FileDescriptor fd_;
};

class Attempt {
 public:
  Attempt(const ProcessSettings& command, const TrainingEvents& events) : events_(events), process_(command) {}

  TrainingEnd run() {
    bool open = true;
    while (open || !process_.poll()) {
      wait_for_something(open);
      for (int number = stops_.take(); number != 0; number = stops_.take()) ask(number);
      // Ranks may outlive the process that started them and keep the pipe open: its end is what counts.
      if (open) open = read_lines() && !(process_.poll() && idle_);
      if (killing_ && std::chrono::steady_clock::now() > kill_time_) process_.signal_group(SIGKILL);
    }
    if (!lines_.rest().empty()) events_.line(lines_.rest());
    end_.process = process_.wait();
    return end_;
  }

 private:
  void wait_for_something(bool open) {
    pollfd waited[] = {{.fd = stops_.fd(), .events = POLLIN, .revents = 0},
                       {.fd = open ? process_.output() : -1, .events = POLLIN, .revents = 0}};
    ::poll(waited, 2, kPollMs);
    idle_ = waited[1].revents == 0;
  }

  /// False at the end of the stream.
  bool read_lines() {
    if (idle_) return true;
    char bytes[65536];
    const ssize_t got = ::read(process_.output(), bytes, sizeof bytes);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    lines_.append({bytes, static_cast<std::size_t>(got)});
    while (const auto line = lines_.next()) events_.line(*line);
    return got > 0;
  }

  void ask(int number) {
    end_.stop_signal = number;
    end_.stop = end_.stop == StopRequest::kNone ? StopRequest::kSave : StopRequest::kAtOnce;
    if (end_.stop == StopRequest::kSave) {
      process_.signal(SIGUSR2);
    } else if (!killing_) {
      // mpirun kills its ranks when it is asked; whoever does not listen is killed a little later.
      process_.signal_group(SIGTERM);
      killing_ = true;
      kill_time_ = std::chrono::steady_clock::now() + kKillAfter;
    }
    events_.stop_asked(end_.stop);
  }

  StopSignals stops_;
  const TrainingEvents& events_;
  Process process_;
  LineBuffer lines_;
  TrainingEnd end_;
  bool idle_ = true;
  bool killing_ = false;
  std::chrono::steady_clock::time_point kill_time_;
};

std::string program_or_refuse(const std::string& name, const std::string& advice) {
  const auto found = find_program(name);
  if (!found) throw ResourceError("{} is not found: {}", name, advice);
  return found->string();
}

}  // namespace

TrainingEnd run_training(ProcessSettings command, const TrainingEvents& events) {
  command.standard_output = ProcessSettings::Output::kPipe;
  return Attempt(command, events).run();
}

ProcessSettings rank_command(const RankCommand& command) {
  const std::string mpirun = program_or_refuse("mpirun", "Debian has it in the package openmpi-bin");
  const std::string beside = (own_program().parent_path() / "stoa-train").string();
  const std::string train =
      find_program(beside) ? beside : program_or_refuse("stoa-train", "it belongs beside stoa or in PATH");
  ProcessSettings settings;
  // The slots are given, because mpirun counts cores and would refuse a rank for each hardware thread.
  // Quiet: how an attempt ended is told by the rank that failed and by `stoa`, not by banners of mpirun.
  settings.argv = {mpirun,      "--quiet",
                   "--bind-to", "none",
                   "--host",    fmt::format("localhost:{}", command.ranks),
                   "-np",       fmt::format("{}", command.ranks)};
  settings.argv.insert(settings.argv.end(), {train, command.spec.string(), "--attempt", command.attempt});
  // mpirun ends its ranks on SIGTERM; killed by SIGKILL it would leave them behind.
  settings.parent_death_signal = SIGTERM;
  if (::geteuid() == 0)
    settings.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  return settings;
}

}  // namespace stoa::launcher
