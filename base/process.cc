#include "stoa/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "stoa/base/error.h"

namespace stoa {
namespace {

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw ResourceError("cannot make a pipe: {}", errno_message(errno));
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& additions) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!additions.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : additions) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

/// What the child does between fork and exec: only calls that are safe there. A failed exec is reported as errno.
struct Become {
  char* const* argv;
  char* const* environment;
  int output;
  int error_output;
  pid_t parent;
  int parent_death_signal;
  int report;
};
[[noreturn]] void become(const Become& child) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, child.parent_death_signal);
  // The parent may have died before the line above.
  if (::getppid() != child.parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) ::signal(number, SIG_DFL);
  if (child.output >= 0) ::dup2(child.output, STDOUT_FILENO);
  if (child.error_output >= 0) ::dup2(child.error_output, STDERR_FILENO);
  ::execve(child.argv[0], child.argv, child.environment);
  const int failure = errno;
  [[maybe_unused]] const ssize_t written = ::write(child.report, &failure, sizeof failure);
  ::_exit(127);
}

ProcessEnd end_of(int status) {
  if (WIFSIGNALED(status)) return {.exit_code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)};
  return {.exit_code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

Process::Process(const ProcessSettings& settings) {
  std::vector<std::string> argv_text = settings.argv;
  std::vector<std::string> environment_text = merged_environment(settings.environment);
  const std::vector<char*> argv = pointers(argv_text);
  const std::vector<char*> environment = pointers(environment_text);
  Pipe report = make_pipe();
  Pipe output;
  Pipe error_output;
  if (settings.standard_output == ProcessSettings::Output::kPipe) output = make_pipe();
  if (settings.standard_error == ProcessSettings::Output::kPipe) error_output = make_pipe();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw ResourceError("{}: cannot start a process: {}", settings.argv[0], errno_message(errno));
  if (pid_ == 0)
    become({.argv = argv.data(),
            .environment = environment.data(),
            .output = output.write.get(),
            .error_output = error_output.write.get(),
            .parent = parent,
            .parent_death_signal = settings.parent_death_signal,
            .report = report.write.get()});
  ::setpgid(pid_, pid_);  // both sides set it, so that neither can be too early
  report.write.reset();
  int failure = 0;
  ssize_t got = 0;
  do got = ::read(report.read.get(), &failure, sizeof failure);
  while (got < 0 && errno == EINTR);
  if (got == sizeof failure) {
    wait();
    throw ResourceError("{}: cannot be started: {}", settings.argv[0], errno_message(failure));
  }
  output_ = std::move(output.read);
  error_output_ = std::move(error_output.read);
}

Process::~Process() {
  if (end_) return;
  signal_group(SIGKILL);
  wait();
}

void Process::signal(int number) const {
  if (!end_) ::kill(pid_, number);
}

void Process::signal_group(int number) const {
  if (!end_) ::kill(-pid_, number);
}

std::optional<ProcessEnd> Process::poll() {
  if (end_) return end_;
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG);
  if (got == pid_) end_ = end_of(status);
  return end_;
}

ProcessEnd Process::wait() {
  while (!end_) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, 0);
    if (got == pid_) end_ = end_of(status);
    if (got < 0 && errno != EINTR) throw InternalError("waiting for process {}: {}", pid_, errno_message(errno));
  }
  return *end_;
}

CommandResult run_command(const std::vector<std::string>& argv, double deadline_s,
                          const std::map<std::string, std::string>& environment) {
  using Clock = std::chrono::steady_clock;
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(deadline_s));
  Process process({.argv = argv,
                   .environment = environment,
                   .standard_output = ProcessSettings::Output::kPipe,
                   .standard_error = ProcessSettings::Output::kPipe});
  CommandResult result;
  pollfd pipes[] = {{.fd = process.output(), .events = POLLIN, .revents = 0},
                    {.fd = process.error_output(), .events = POLLIN, .revents = 0}};
  std::string* texts[] = {&result.output, &result.error_output};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      result.is_late = true;
      process.signal_group(SIGKILL);
      break;
    }
    ::poll(pipes, 2, static_cast<int>(std::min<long long>(left, 60'000)));
    for (std::size_t i = 0; i < 2; ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      char bytes[65536];
      const ssize_t got = ::read(pipes[i].fd, bytes, sizeof bytes);
      if (got > 0)
        texts[i]->append(bytes, static_cast<std::size_t>(got));
      else if (got == 0 || errno != EINTR)
        pipes[i].fd = -1;
    }
  }
  result.end = process.wait();
  return result;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const auto executable = [](const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos)
    return executable(name) ? std::optional<std::filesystem::path>(name) : std::nullopt;
  const char* variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
  while (!folders.empty()) {
    const std::size_t colon = folders.find(':');
    const std::filesystem::path path = std::filesystem::path(folders.substr(0, colon)) / name;
    if (path.has_parent_path() && executable(path)) return path;
    folders.remove_prefix(colon == std::string_view::npos ? folders.size() : colon + 1);
  }
  return std::nullopt;
}

std::filesystem::path own_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

std::optional<std::string> LineBuffer::next() {
  const std::size_t newline = text_.find('\n');
  if (newline == std::string::npos) return std::nullopt;
  std::string line = text_.substr(0, newline);
  text_.erase(0, newline + 1);
  return line;
}

}  // namespace stoa
