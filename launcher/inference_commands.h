#pragma once
/// `stoa eval` and `stoa sample`: one rank on this machine, from a run's newest checkpoint. Each returns an exit code
/// and throws what it cannot do.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace stoa::launcher {

struct EvalOptions {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  std::filesystem::path text;        ///< the file to judge
  std::filesystem::path checkpoint;  ///< a step-XXXXXXXX folder; empty: the newest whole one of the run
};
/// Loss, perplexity and bits per byte of a text.
int run_eval(const EvalOptions& options, std::FILE* out);

struct SampleOptions {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  std::string prompt;
  std::filesystem::path checkpoint;  ///< as for eval
  std::int64_t tokens = 128;
  double temperature = 0.8;  ///< 0: always the most likely token
  std::int64_t top_k = 0;    ///< 0: no limit
  double top_p = 0.95;       ///< 1: no limit
  std::uint64_t seed = 1;
};
/// Writes the prompt and what follows, token by token as they come.
int run_sample(const SampleOptions& options, std::FILE* out);

}  // namespace stoa::launcher
