#include "stoa/base/error.h"

#include <system_error>

namespace stoa {

std::string_view error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInternal:
      return "internal";
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kConfig:
      return "configuration";
    case ErrorKind::kData:
      return "data";
    case ErrorKind::kCheckpoint:
      return "checkpoint";
    case ErrorKind::kStorage:
      return "storage";
    case ErrorKind::kComm:
      return "communication";
    case ErrorKind::kNumeric:
      return "numeric";
    case ErrorKind::kResource:
      return "resource";
  }
  return "internal";
}

std::string errno_message(int error_number) { return std::generic_category().message(error_number); }

}  // namespace stoa
