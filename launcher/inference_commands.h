#pragma once
/// `stoa eval` and `stoa sample`: one process on this machine, from a run's newest checkpoint. Each writes its result
/// to `out`, lines for people to the log, returns an exit code and throws what it cannot do.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/launcher/trained_model.h"

namespace stoa::launcher {

enum class ResultForm { kLines, kJson };

struct EvalOptions {
  ModelChoice model;
  std::filesystem::path text;  ///< the file to judge; documents are separated as in the experiment's data
  ResultForm form = ResultForm::kLines;
};
/// Loss, perplexity and bits per byte of a text.
int run_eval(const EvalOptions& options, std::FILE* out, Log& log, const Clock& clock);

struct SampleOptions {
  ModelChoice model;
  std::string prompt;
  std::int64_t tokens = 128;
  double temperature = 0.8;  ///< 0: always the most likely token
  std::int64_t top_k = 0;    ///< 0: no limit
  double top_p = 0.95;       ///< 1: no limit
  std::uint64_t seed = 1;
};
/// Writes the prompt and what follows, token by token as they come. Ends with end-of-text, after `tokens`, or where the
/// model's context is full, and the log says which.
int run_sample(const SampleOptions& options, std::FILE* out, Log& log, const Clock& clock);

}  // namespace stoa::launcher
