/// Runs a fuzz target without libFuzzer, under any compiler and sanitizer:
///   TARGET [--seconds S]   seeds, then mutations 0, 1, 2, ... until the time is over
///   TARGET --input N       mutation N alone: what a finding names
///   TARGET FILE...         these files, as libFuzzer does
/// Mutation N is a function of N and the seeds alone, so that a finding is reproduced by its number.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/tests/fuzz/fuzz_target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace stoa::fuzz {
namespace {

/// splitmix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(next() % n); }

 private:
  std::uint64_t state_;
};

constexpr std::string_view kFragments[] = {std::string_view("\0", 1),
                                           std::string_view("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8),
                                           std::string_view("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 8),
                                           std::string_view("\0\0\0\0\0\0\0\x80", 8),
                                           "\xC3\xA9",
                                           "\xED\xA0\x80",
                                           "\xF0\x9F\x99\x82",
                                           "\xE2\x80\xAF",
                                           "\n",
                                           "  ",
                                           "{",
                                           "}",
                                           "[",
                                           "]",
                                           "\"",
                                           ":",
                                           ",",
                                           "\\u0000",
                                           "\\ud800",
                                           "-1",
                                           "1e400",
                                           "18446744073709551616",
                                           "null",
                                           "true",
                                           "&a",
                                           "*a",
                                           "<<: *a",
                                           "!!",
                                           "- ",
                                           "'",
                                           "#",
                                           "\t"};

void flip_bit(std::string& input, Random& random) {
  if (!input.empty()) input[random.below(input.size())] ^= static_cast<char>(1U << random.below(8));
}

void set_byte(std::string& input, Random& random) {
  if (!input.empty()) input[random.below(input.size())] = static_cast<char>(random.next());
}

void erase_part(std::string& input, Random& random) {
  if (!input.empty())
    input.erase(random.below(input.size()), 1 + random.below(std::min<std::size_t>(input.size(), 33)));
}

void repeat_part(std::string& input, Random& random) {
  if (input.empty()) return;
  const std::size_t begin = random.below(input.size());
  input.insert(random.below(input.size()), input.substr(begin, 1 + random.below(65)));
}

void add_fragment(std::string& input, Random& random) {
  input.insert(random.below(input.size() + 1), kFragments[random.below(std::size(kFragments))]);
}

void overwrite_with_fragment(std::string& input, Random& random) {
  const std::string_view fragment = kFragments[random.below(std::size(kFragments))];
  input.replace(random.below(input.size() + 1), fragment.size(), fragment);
}

void cut(std::string& input, Random& random) { input.resize(random.below(input.size() + 1)); }

void splice(std::string& input, Random& random, const std::vector<std::string>& all) {
  const std::string& other = all[random.below(all.size())];
  input = input.substr(0, random.below(input.size() + 1)) + other.substr(random.below(other.size() + 1));
}

std::string mutation(std::uint64_t number, const std::vector<std::string>& all) {
  Random random(number);
  std::string input = all[random.below(all.size())];
  for (std::size_t times = 1 + random.below(5); times > 0; --times) {
    switch (random.below(8)) {
      case 0:
        flip_bit(input, random);
        break;
      case 1:
        set_byte(input, random);
        break;
      case 2:
        erase_part(input, random);
        break;
      case 3:
        repeat_part(input, random);
        break;
      case 4:
        add_fragment(input, random);
        break;
      case 5:
        overwrite_with_fragment(input, random);
        break;
      case 6:
        cut(input, random);
        break;
      default:
        splice(input, random, all);
    }
  }
  return input;
}

/// Read by the signal handler: the name of the input that runs now.
char current_input[64];

void print_current_input() {
  const std::string_view name(current_input);
  if (::write(STDERR_FILENO, name.data(), name.size()) < 0) std::_Exit(3);
}

void on_signal(int number) {
  print_current_input();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void name_finding_on_death() {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(print_current_input);
  for (const int number : {SIGABRT, SIGFPE}) std::signal(number, on_signal);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::signal(SIGSEGV, on_signal);
#endif
}

void run(const std::string& input, const char* kind, std::uint64_t number) {
  std::snprintf(current_input, sizeof current_input, "fuzz finding: %s %llu\n", kind,
                static_cast<unsigned long long>(number));
  try {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "an exception that is no stoa::Error: %s\n", failure.what());
    std::abort();
  }
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s: cannot be opened\n", path);
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

void run_for(double seconds, const std::vector<std::string>& all) {
  const auto elapsed_s = [begin = std::chrono::steady_clock::now()] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  for (std::size_t s = 0; s < all.size(); ++s) run(all[s], "seed", s);
  std::uint64_t number = 0;
  while (elapsed_s() < seconds) {
    run(mutation(number, all), "--input", number);
    ++number;
  }
  std::printf("%zu seeds and %llu mutations in %.1f s, no finding\n", all.size(),
              static_cast<unsigned long long>(number), elapsed_s());
}

int fuzz(int argc, char** argv) {
  name_finding_on_death();
  const std::vector<std::string> all = seeds();
  const std::string_view option = argc > 1 ? argv[1] : "";
  if (option == "--input" && argc == 3) {
    const std::uint64_t number = std::strtoull(argv[2], nullptr, 10);
    run(mutation(number, all), "--input", number);
  } else if (option.empty() || (option == "--seconds" && argc == 3)) {
    run_for(option.empty() ? 3.0 : std::strtod(argv[2], nullptr), all);
  } else if (option.starts_with("--")) {
    std::fprintf(stderr, "usage: %s [--seconds S | --input N | FILE...]\n", argv[0]);
    return 2;
  } else {
    for (int i = 1; i < argc; ++i) run(read_file(argv[i]), argv[i], 0);
  }
  return 0;
}

}  // namespace
}  // namespace stoa::fuzz

int main(int argc, char** argv) { return stoa::fuzz::fuzz(argc, argv); }
