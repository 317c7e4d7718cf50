#pragma once
/// The program `stoa`: words to actions, errors to messages and exit codes.
#include <cstdio>
#include <string>
#include <vector>

namespace stoa::launcher {

struct Streams {
  std::FILE* out;
  std::FILE* err;
};

/// `words` without the program's name. Returns the exit code; errors are printed as "stoa: error: MESSAGE". Throws
/// nothing.
int run_command_line(const std::vector<std::string>& words, const Streams& streams);

}  // namespace stoa::launcher
