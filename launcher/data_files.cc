#include "stoa/launcher/data_files.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/prepare.h"
#include "stoa/trainer/data/token_samples.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {
namespace {

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return files;
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

std::vector<std::string> documents_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const char* form : {"txt", "jsonl", "ndjson"})
    for (const char* compression : {"", ".gz", ".zst"}) {
      const std::vector<std::string> found = matches(fmt::format("{}/*.{}{}", folder, form, compression));
      files.insert(files.end(), found.begin(), found.end());
    }
  std::sort(files.begin(), files.end());
  return files;
}

std::string describe_set(const Experiment& experiment, const trainer::IndexedDataset& dataset) {
  const trainer::TokenSamples samples(dataset, experiment.data, experiment.model.context_length,
                                      trainer::DataSplit::kTrain);
  const double wanted =
      static_cast<double>(experiment.training.steps) * static_cast<double>(experiment.training.global_batch);
  return fmt::format("{}: {} documents, {} tokens, of which {} to train on; {} steps read them {:.2f} times",
                     experiment.data.prefix, format_grouped(dataset.documents()), format_grouped(dataset.tokens()),
                     format_grouped(samples.tokens()), experiment.training.steps,
                     wanted / static_cast<double>(samples.samples_per_epoch()));
}

}  // namespace

std::vector<std::string> text_files(const std::vector<std::string>& text, std::string_view key) {
  std::vector<std::string> files;
  for (const std::string& entry : text) {
    std::vector<std::string> part;
    std::error_code ignored;
    if (std::filesystem::is_directory(entry, ignored))
      part = documents_in(entry);
    else if (entry.find_first_of("*?[") != std::string::npos && !is_file(entry))
      part = matches(entry);
    else if (is_file(entry))
      part = {entry};
    if (part.empty()) throw DataError("{}: {} names no file", key, entry);
    files.insert(files.end(), part.begin(), part.end());
  }
  return files;
}

std::string check_data(const Experiment& experiment, DataDepth depth) {
  const trainer::DataSettings& data = experiment.data;
  if (!is_file(data.prefix + ".idx")) {
    if (data.text.empty())
      throw DataError("{}.idx: no such data set, and data.text names no files to make it from", data.prefix);
    return fmt::format("{}: not there yet; it will be made from {} text files", data.prefix,
                       text_files(data.text).size());
  }
  if (!is_file(data.tokenizer))
    throw DataError("{}: no such tokenizer, but the data set {}.idx is there", data.tokenizer, data.prefix);
  const std::int64_t entries = trainer::Tokenizer::load(data.tokenizer).vocabulary_size();
  if (entries > experiment.model.vocabulary_size)
    throw DataError("{}: {} entries, more than model.vocabulary_size {}", data.tokenizer, entries,
                    experiment.model.vocabulary_size);
  const trainer::IndexedDataset dataset(data.prefix);
  if (depth == DataDepth::kEverything) {
    dataset.verify_tokens(experiment.model.vocabulary_size);
    const bool had_checksums = trainer::verify_checksums(data.prefix);
    return describe_set(experiment, dataset) + (had_checksums ? "; every token and checksum is right"
                                                              : "; every token is right, checksums were never written");
  }
  return describe_set(experiment, dataset);
}

void make_data(const Experiment& experiment, Log& log, int threads) {
  trainer::DataSettings data = experiment.data;
  const bool complete = is_file(data.prefix + ".idx") && is_file(data.tokenizer);
  if (!complete) data.text = text_files(data.text);
  trainer::prepare_data(data, experiment.model.vocabulary_size, log, threads);
}

}  // namespace stoa::launcher
