#include <csignal>

#include "stoa/launcher/command_line.h"

int main(int argc, char** argv) {
  // Writing beyond the limit of a file's size fails with an error that names the file.
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return stoa::launcher::run_command_line(words, {.out = stdout, .err = stderr});
}
