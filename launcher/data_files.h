#pragma once
/// The files behind `data:` of an experiment: what is there, what can be made, whether it fits the model.
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

/// data.text as plain files: a folder stands for its .txt, .jsonl and .ndjson files, also with .gz or .zst, a pattern
/// with '*', '?' or '[' for the files it matches; each in the order of names. DataError where one names nothing; `key`
/// is where the names stand.
std::vector<std::string> text_files(const std::vector<std::string>& text, std::string_view key = "data.text");

enum class DataDepth {
  kShape,      ///< headers, indexes and sizes
  kEverything  ///< every token and checksum
};
/// One sentence about the data set, or DataError where it is absent and cannot be made, or does not fit the experiment.
std::string check_data(const Experiment& experiment, DataDepth depth);

/// Makes what is missing (trainer::prepare_data) from the experiment's text. threads 0: as many as there are
/// processors.
void make_data(const Experiment& experiment, Log& log, int threads = 0);

}  // namespace stoa::launcher
