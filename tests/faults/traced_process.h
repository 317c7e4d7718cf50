#pragma once
/// A child that stops before each system call that changes files, so that a test can kill it there or look at what the
/// disk holds.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <set>
#include <stdexcept>

namespace stoa::faults {

/// x86-64. Calls that read, wait or map are not among them.
inline bool changes_files(long call) {
  static const std::set<long> kCalls{
      SYS_write,     SYS_pwrite64, SYS_writev,    SYS_pwritev,  SYS_pwritev2, SYS_fsync,     SYS_fdatasync,
      SYS_rename,    SYS_renameat, SYS_renameat2, SYS_link,     SYS_linkat,   SYS_symlink,   SYS_symlinkat,
      SYS_mkdir,     SYS_mkdirat,  SYS_unlink,    SYS_unlinkat, SYS_rmdir,    SYS_ftruncate, SYS_truncate,
      SYS_fallocate, SYS_chmod,    SYS_fchmod,    SYS_fchmodat, SYS_creat};
  return kCalls.contains(call);
}
/// What to do at a stop.
enum class AtStop { kGoOn, kKill };

struct TracedEnd {
  std::int64_t stops = 0;
  bool killed = false;  ///< by `at_stop`
  int exit_code = -1;   ///< where it was not
};

/// Runs `body` in a child of all whose threads `at_stop` hears before each such call: its number, from 1 on, and which
/// call it is. A kill takes the whole process, and the call is not made.
inline TracedEnd run_traced(const std::function<int()>& body,
                            const std::function<AtStop(std::int64_t number, long call)>& at_stop) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    int code = 1;
    try {
      code = body();
    } catch (const std::exception& failure) {
      std::fprintf(stderr, "child: %s\n", failure.what());
    }
    ::_exit(code);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
    throw std::runtime_error("the child cannot be traced");
  if (::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) != 0)
    throw std::runtime_error("ptrace is not permitted here");
  ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  TracedEnd end;
  std::set<pid_t> inside;  // threads whose call has begun
  while (true) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0) throw std::runtime_error("the traced child was lost");
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      inside.erase(thread);
      if (thread != child) continue;
      if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
      return end;
    }
    int deliver = 0;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      const bool begins = inside.erase(thread) == 0;
      if (begins) {
        inside.insert(thread);
        user_regs_struct registers{};
        ::ptrace(PTRACE_GETREGS, thread, nullptr, &registers);
        const auto call = static_cast<long>(registers.orig_rax);
        if (!end.killed && changes_files(call) && at_stop(++end.stops, call) == AtStop::kKill) {
          end.killed = true;
          ::kill(child, SIGKILL);
          continue;
        }
      }
    } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
      deliver = WSTOPSIG(status);  // a signal of its own; SIGSTOP is how a new thread begins
    }
    ::ptrace(PTRACE_SYSCALL, thread, nullptr, deliver);
  }
}

}  // namespace stoa::faults
