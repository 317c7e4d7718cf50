#include "stoa/launcher/data_files.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/launcher/mixture_table.h"
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
  const std::string counts = fmt::format("{}: {} documents, {} tokens, of which {} to train on", experiment.data.prefix,
                                         format_grouped(dataset.documents()), format_grouped(dataset.tokens()),
                                         format_grouped(samples.tokens()));
  if (experiment.training.steps == 0) return counts;
  const double wanted =
      static_cast<double>(experiment.training.steps) * static_cast<double>(experiment.training.global_batch);
  return fmt::format("{}; {} steps read them {:.2f} times", counts, experiment.training.steps,
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

namespace {

/// check_data of an experiment with one data set.
std::string check_set(const Experiment& experiment, DataDepth depth) {
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

/// make_data of an experiment with one data set.
void make_set(const Experiment& experiment, Log& log, int threads) {
  trainer::DataSettings data = experiment.data;
  const bool complete = is_file(data.prefix + ".idx") && is_file(data.tokenizer);
  if (!complete) data.text = text_files(data.text);
  trainer::prepare_data(data, experiment.model.vocabulary_size, log, threads);
}

/// The experiment as if this source of its mixture were its one data set. No steps: how much of it they read is for the
/// mixture's table to tell.
Experiment with_one_set(const Experiment& experiment, const trainer::DataSource& source) {
  Experiment one = experiment;
  one.data.prefix = source.prefix;
  one.data.text = source.text;
  one.data.sources.clear();
  one.data.stages.clear();
  one.training.steps = 0;
  return one;
}

/// DataError where the source's data set is absent and cannot be made.
void require_text(const trainer::DataSource& source) {
  if (source.text.empty() && !is_file(source.prefix + ".idx"))
    throw DataError("{}.idx: no such data set, and source {} of data.sources names no text to make it from",
                    source.prefix, source.name);
}

/// Of a mixture that has no tokenizer yet: trained on the text of all sources.
void make_shared_tokenizer(const Experiment& experiment, Log& log, int threads) {
  const trainer::DataSettings& data = experiment.data;
  std::vector<std::string> text;
  for (const trainer::DataSource& source : data.sources)
    text.insert(text.end(), source.text.begin(), source.text.end());
  if (text.empty())
    throw DataError("{}: no such tokenizer, and no source of data.sources names text to train it on", data.tokenizer);
  trainer::DataSettings all = data;
  all.text = text_files(text);
  trainer::prepare_tokenizer(all, experiment.model.vocabulary_size, log, threads);
}

}  // namespace

std::string check_data(const Experiment& experiment, DataDepth depth) {
  const auto& sources = experiment.data.sources;
  if (sources.empty()) return check_set(experiment, depth);
  std::string text = fmt::format("a mixture of {} sources", sources.size());
  for (const trainer::DataSource& source : sources) require_text(source);
  for (const trainer::DataSource& source : sources)
    text += fmt::format("\n         {}: {}", source.name, check_set(with_one_set(experiment, source), depth));
  return text + mixture_part(experiment);
}

void make_data(const Experiment& experiment, Log& log, int threads) {
  if (experiment.data.sources.empty()) return make_set(experiment, log, threads);
  for (const trainer::DataSource& source : experiment.data.sources) require_text(source);
  if (!is_file(experiment.data.tokenizer)) make_shared_tokenizer(experiment, log, threads);
  for (const trainer::DataSource& source : experiment.data.sources)
    make_set(with_one_set(experiment, source), log, threads);
}

}  // namespace stoa::launcher
