#include "stoa/launcher/command_line.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return stoa::launcher::run_command_line(words, {.out = stdout, .err = stderr});
}
