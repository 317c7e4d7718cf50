#include "stoa/launcher/data_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/launcher/data_files.h"
#include "stoa/trainer/data/dataset_reshape.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/prepare.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {
namespace {

namespace indexed = trainer::indexed;

void check_new(const std::filesystem::path& prefix, Existing existing) {
  for (const std::filesystem::path& path : {indexed::index_path(prefix), indexed::tokens_path(prefix)})
    if (existing == Existing::kRefused && std::filesystem::exists(path))
      throw UsageError("{}: it is there already; give another name, or --replace", path.string());
}

void check_is_other(const std::filesystem::path& out, const std::filesystem::path& input) {
  std::error_code ignored;
  if (out.lexically_normal() == input.lexically_normal() ||
      std::filesystem::equivalent(indexed::index_path(out), indexed::index_path(input), ignored))
    throw UsageError("{}: the result must have another name than the input", out.string());
}

void print_made(std::FILE* out, const trainer::ReshapedDataset& made) {
  fmt::print(out, "{}: {} documents, {} sequences, {} tokens of {}\n", made.prefix.string(),
             format_grouped(made.documents), format_grouped(made.sequences), format_grouped(made.tokens),
             indexed::type_name(made.type));
}

}  // namespace

int run_data_prepare_text(const PrepareTextOptions& options, std::FILE* out, Log& log) {
  if (options.tokenizer.empty() || options.prefix.empty())
    throw UsageError("--text needs --tokenizer and --prefix; or give an experiment, whose data: names them");
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(options.tokenizer, ignored))
    throw DataError("{}: no such tokenizer; stoa tokenizer train makes one", options.tokenizer);
  trainer::DataSettings data;
  data.prefix = options.prefix;
  data.tokenizer = options.tokenizer;
  data.text = text_files(options.text, "--text");
  data.text_field = options.text_field;
  data.document_separator = options.separator;
  const std::int64_t entries = trainer::Tokenizer::load(options.tokenizer).vocabulary_size();
  const trainer::PreparedData made = trainer::prepare_data(data, entries, log, options.threads);
  if (made.text_bytes == 0) log.info("{} was there already and was only checked", options.prefix);
  fmt::print(out, "{}: {} documents, {} tokens\n", options.prefix, format_grouped(made.documents),
             format_grouped(made.tokens));
  return 0;
}

int run_data_verify(const VerifyOptions& options, std::FILE* out, Log& log) {
  std::optional<std::int64_t> vocabulary = options.vocabulary;
  if (!options.tokenizer.empty()) vocabulary = trainer::Tokenizer::load(options.tokenizer).vocabulary_size();
  const int threads = threads_or_all(options.threads);
  Json all = Json::array();
  for (const std::string& prefix : options.prefixes) {
    if (options.prefixes.size() > 1) log.info("verifying {}", prefix);
    const trainer::IndexedDataset dataset(prefix);
    const bool checksums = trainer::verify_checksums(prefix, threads);
    if (vocabulary) dataset.verify_tokens(*vocabulary, threads);
    Json one = {{"prefix", prefix},
                {"documents", dataset.documents()},
                {"tokens", dataset.tokens()},
                {"checksums", checksums ? "right" : "never written"}};
    if (vocabulary) one["vocabulary"] = *vocabulary;
    all.push_back(std::move(one));
    if (options.format == TextOrJson::kJson) continue;
    fmt::print(out, "{}: {} documents, {} tokens; structure right, {}, {}\n", prefix,
               format_grouped(dataset.documents()), format_grouped(dataset.tokens()),
               checksums ? "checksums right" : "checksums never written",
               vocabulary ? fmt::format("every token in 0 to {}", *vocabulary - 1)
                          : std::string("tokens not compared with a vocabulary"));
  }
  if (options.format == TextOrJson::kJson) print_json(out, all);
  return 0;
}

int run_data_merge(const MergeOptions& options, std::FILE* out, Log& log) {
  for (const std::string& input : options.inputs) check_is_other(options.out, input);
  check_new(options.out, options.existing);
  const std::vector<std::filesystem::path> inputs(options.inputs.begin(), options.inputs.end());
  print_made(out, trainer::merge_datasets(inputs, options.out, threads_or_all(options.threads), log));
  return 0;
}

namespace {

std::vector<std::int64_t> cuts_of(const SplitOptions& options) {
  const trainer::IndexedDataset dataset(options.input);
  if (options.documents_each > 0) {
    if (dataset.documents() == 0) throw DataError("{}: no document in it to split", options.input);
    return trainer::cuts_by_documents(dataset.documents(), options.documents_each);
  }
  std::vector<double> shares = options.fractions;
  if (shares.empty()) {
    if (options.parts > dataset.documents())
      throw UsageError("{} has {} documents, too few for {} parts", options.input, dataset.documents(), options.parts);
    shares.assign(static_cast<std::size_t>(options.parts), 1.0);
  } else {
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (const double share : shares)
      if (!(share > 0)) throw UsageError("--fractions: {} is not a positive part", share);
    if (std::abs(sum - 1) > 1e-6) throw UsageError("--fractions: the parts add up to {}, not to 1", sum);
  }
  std::vector<std::int64_t> begins;
  for (std::int64_t document = 0; document <= dataset.documents(); ++document)
    begins.push_back(dataset.document_begin(document));
  return trainer::cuts_by_tokens(begins, shares);
}

}  // namespace

int run_data_split(const SplitOptions& options, std::FILE* out, Log& log) {
  if ((options.parts > 0) + (options.documents_each > 0) + !options.fractions.empty() != 1)
    throw UsageError("one of --parts, --documents-each and --fractions says how to split");
  const std::vector<std::int64_t> cuts = cuts_of(options);
  for (const std::filesystem::path& name : trainer::names_of_parts(options.out, cuts.size() - 1)) {
    check_is_other(name, options.input);
    check_new(name, options.existing);
  }
  for (const trainer::ReshapedDataset& made :
       trainer::split_dataset(options.input, options.out, cuts, threads_or_all(options.threads), log))
    print_made(out, made);
  return 0;
}

}  // namespace stoa::launcher
