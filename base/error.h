#pragma once
/// The kinds of failure and their exit codes: the one table. A library throws; the mains in launcher/ turn the kind
/// into the exit code and print the message. A message is a sentence an operator can act on, with the place and the
/// values:
///   configs/a.yaml:14:3: parallel.tensor 3 does not divide model.heads 16
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace stoa {

/// The numeric value is the exit code. A code keeps its meaning for ever; new kinds get new codes.
enum class ErrorKind {
  kInternal = 1,    ///< a defect of Stoa
  kUsage = 2,       ///< the command line
  kConfig = 3,      ///< an experiment or machine file
  kData = 4,        ///< training data or a tokenizer: missing, truncated, corrupt
  kCheckpoint = 5,  ///< a checkpoint: missing, corrupt, of another model
  kStorage = 6,     ///< the file system: full, read-only, quota, I/O error
  kComm = 7,        ///< ranks lost each other: a deadline passed or a rank died
  kNumeric = 8,     ///< training diverged beyond what the policy skips
  kResource = 9,    ///< this machine lacks memory, cores or a program that is needed
};

inline constexpr int kExitFinished = 0;
/// Saved in good order before the work was done: give the same command again (EX_TEMPFAIL of sysexits.h).
inline constexpr int kExitSaved = 75;

constexpr int exit_code(ErrorKind kind) { return static_cast<int>(kind); }

/// "configuration", "data", ...: the word printed before the message and written to outcome files.
std::string_view error_kind_name(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// One class a kind, so that a catch can name what it can deal with. The message is formatted by fmt.
template <ErrorKind Kind>
class ErrorOf : public Error {
 public:
  template <typename... Args>
  explicit ErrorOf(fmt::format_string<Args...> format, Args&&... args)
      : Error(Kind, fmt::format(format, std::forward<Args>(args)...)) {}
};

using InternalError = ErrorOf<ErrorKind::kInternal>;
using UsageError = ErrorOf<ErrorKind::kUsage>;
using ConfigError = ErrorOf<ErrorKind::kConfig>;
using DataError = ErrorOf<ErrorKind::kData>;
using CheckpointError = ErrorOf<ErrorKind::kCheckpoint>;
using StorageError = ErrorOf<ErrorKind::kStorage>;
using CommError = ErrorOf<ErrorKind::kComm>;
using NumericError = ErrorOf<ErrorKind::kNumeric>;
using ResourceError = ErrorOf<ErrorKind::kResource>;

/// The message of the current errno-style failure: "No space left on device".
std::string errno_message(int error_number);

}  // namespace stoa
