#pragma once
/// What `stoa data inspect | verify | stats | merge | split` and `stoa data prepare --text` do, after the words are
/// parsed. Each prints to `out` and returns the exit code; errors are thrown.
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/launcher/text_or_json.h"

namespace stoa::launcher {

struct PrepareTextOptions {
  std::vector<std::string> text;  ///< as data.text
  std::string tokenizer;
  std::string prefix;
  std::string text_field = "text";
  std::string separator = "<|endoftext|>";
  int threads = 0;
};
int run_data_prepare_text(const PrepareTextOptions& options, std::FILE* out, Log& log);

struct InspectOptions {
  std::string prefix;
  std::string tokenizer;                 ///< empty: no text
  std::optional<std::int64_t> document;  ///< this one, whole
  TextOrJson format = TextOrJson::kText;
};
int run_data_inspect(const InspectOptions& options, std::FILE* out);

struct VerifyOptions {
  std::vector<std::string> prefixes;
  std::string tokenizer;
  std::optional<std::int64_t> vocabulary;
  int threads = 0;
  TextOrJson format = TextOrJson::kText;
};
int run_data_verify(const VerifyOptions& options, std::FILE* out, Log& log);

struct StatsOptions {
  std::string prefix;
  std::string tokenizer;
  std::int64_t most_frequent = 20;
  int threads = 0;
  TextOrJson format = TextOrJson::kText;
};
int run_data_stats(const StatsOptions& options, std::FILE* out);

enum class Existing { kRefused, kReplaced };

struct MergeOptions {
  std::vector<std::string> inputs;
  std::string out;
  Existing existing = Existing::kRefused;
  int threads = 0;
};
int run_data_merge(const MergeOptions& options, std::FILE* out, Log& log);

/// Exactly one of parts, documents_each and fractions.
struct SplitOptions {
  std::string input;
  std::string out;
  std::int64_t parts = 0;
  std::int64_t documents_each = 0;
  std::vector<double> fractions;
  Existing existing = Existing::kRefused;
  int threads = 0;
};
int run_data_split(const SplitOptions& options, std::FILE* out, Log& log);

}  // namespace stoa::launcher
