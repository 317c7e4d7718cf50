#pragma once
/// What a run says about itself while it runs: one JSON line per event, to a file and to a stream (rank 0's standard
/// output, which `stoa run` reads). Only rank 0 has one that writes.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/json.h"

namespace stoa::trainer {

class Metrics {
 public:
  /// Writes nothing.
  Metrics() = default;
  /// Borrows the stream and the clock.
  Metrics(const std::filesystem::path& file, std::FILE* stream, std::string attempt, const Clock& clock);

  /// What recorded_loss() has of a step, before this attempt writes it.
  std::optional<double> recorded_loss(std::int64_t step) const;

  /// Adds "attempt" and "time" and writes the line. A NaN becomes null.
  void write(Json line);

 private:
  std::filesystem::path path_;
  std::optional<AppendFile> file_;
  std::FILE* stream_ = nullptr;
  std::string attempt_;
  const Clock* clock_ = nullptr;
};

/// Bytes of this process in memory now.
std::int64_t resident_bytes();

/// Of the node that this rank runs on.
std::string host_name();

}  // namespace stoa::trainer
