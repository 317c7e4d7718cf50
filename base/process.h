#pragma once
/// A child process with its own process group. Linux: the child dies with its parent's thread (PR_SET_PDEATHSIG), so
/// spawn from a thread that lives as long as the child should.
#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/durable_file.h"

namespace stoa {

struct ProcessSettings {
  std::vector<std::string> argv;                   ///< argv[0]: a path, looked up nowhere
  std::map<std::string, std::string> environment;  ///< added to this process's, or replacing it
  enum class Output { kInherited, kPipe };
  Output standard_output = Output::kInherited;
  Output standard_error = Output::kInherited;
  int parent_death_signal = SIGKILL;  ///< what the child gets when this process dies
};

/// How a process ended.
struct ProcessEnd {
  int exit_code = 0;
  int signal = 0;  ///< 0: it exited by itself
};

/// Owns the child: the destructor kills its whole group and reaps it.
class Process {
 public:
  /// ResourceError where the program cannot be started, naming it and the system's reason.
  explicit Process(const ProcessSettings& settings);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  /// Read end of the child's standard output, where a pipe was asked for.
  int output() const { return output_.get(); }
  /// The same of standard error.
  int error_output() const { return error_output_.get(); }

  /// To the process alone, or to every process of its group. Nothing where it was already reaped.
  void signal(int number) const;
  void signal_group(int number) const;

  /// The end where it has come.
  std::optional<ProcessEnd> poll();
  ProcessEnd wait();

 private:
  pid_t pid_ = -1;
  FileDescriptor output_;
  FileDescriptor error_output_;
  std::optional<ProcessEnd> end_;
};

/// A command run to its end, with what it wrote.
struct CommandResult {
  ProcessEnd end;
  std::string output;
  std::string error_output;
  bool is_late = false;  ///< it was killed when its time was over
  bool is_good() const { return end.exit_code == 0 && !is_late; }
};
/// Runs `argv` (argv[0]: a path) with additions to the environment and its standard input closed. ResourceError where
/// it cannot be started.
CommandResult run_command(const std::vector<std::string>& argv, double deadline_s,
                          const std::map<std::string, std::string>& environment = {});

/// The first executable file `name` in the folders of PATH; `name` itself where it has a '/'.
std::optional<std::filesystem::path> find_program(const std::string& name);
/// The path of the running program.
std::filesystem::path own_program();

/// Cuts a stream of bytes into lines.
class LineBuffer {
 public:
  void append(std::string_view bytes) { text_ += bytes; }
  /// The next whole line without its newline.
  std::optional<std::string> next();
  /// What follows the last newline.
  const std::string& rest() const { return text_; }

 private:
  std::string text_;
};

}  // namespace stoa
