#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/launcher/data_sets.h"
#include "stoa/trainer/data/dataset_stats.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/indexed_dataset_index.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {
namespace {

namespace indexed = trainer::indexed;

constexpr std::int64_t kShownDocuments = 3;
constexpr std::int64_t kShownTokens = 64;
constexpr int kBarWidth = 40;

std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// A document must not move the cursor or change the colours of the terminal it is shown on.
std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F)
      shown += fmt::format("\\x{:02X}", byte);
    else
      shown += c;
  }
  return shown;
}

/// Tokens of a document, all or the first of them, as text where there is a tokenizer.
Json shown_document(const trainer::IndexedDataset& dataset, const std::optional<trainer::Tokenizer>& tokenizer,
                    std::int64_t document, std::int64_t most_tokens) {
  const std::int64_t size = dataset.document_size(document);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(std::min(size, most_tokens)));
  dataset.read(dataset.document_begin(document), tokens);
  Json shown = {{"document", document}, {"tokens", size}, {"first_token", dataset.document_begin(document)}};
  if (tokenizer)
    shown["text"] = tokenizer->decode(tokens);
  else
    shown["ids"] = tokens;
  return shown;
}

std::optional<trainer::Tokenizer> tokenizer_of(const std::string& path) {
  if (path.empty()) return std::nullopt;
  return trainer::Tokenizer::load(path);
}

Json described(const std::string& prefix, const trainer::IndexedDataset& dataset) {
  const trainer::DatasetIndex index(prefix);
  return {{"prefix", prefix},
          {"type", indexed::type_name(dataset.type())},
          {"token_bytes", indexed::token_bytes(dataset.type())},
          {"documents", dataset.documents()},
          {"sequences", index.sequences()},
          {"tokens", dataset.tokens()},
          {"modes", index.has_modes()},
          {"bin_bytes", dataset.token_bytes().size()},
          {"idx_bytes", index.bytes()},
          {"checksums", std::filesystem::exists(indexed::checksums_path(prefix))}};
}

void print_description(std::FILE* out, const Json& d) {
  fmt::print(out, "{}\n", d.at("prefix").get<std::string>());
  fmt::print(out, "  tokens     {:>15} of {} ({} bytes each)\n", format_grouped(d.at("tokens")),
             d.at("type").get<std::string>(), d.at("token_bytes").get<int>());
  fmt::print(out, "  documents  {:>15}\n  sequences  {:>15}{}\n", format_grouped(d.at("documents")),
             format_grouped(d.at("sequences")), d.at("modes").get<bool>() ? " with modes" : "");
  fmt::print(out, "  .bin       {:>15} bytes ({})\n  .idx       {:>15} bytes\n", format_grouped(d.at("bin_bytes")),
             format_bytes(d.at("bin_bytes")), format_grouped(d.at("idx_bytes")));
  fmt::print(out, "  checksums  {:>15}\n", d.at("checksums").get<bool>() ? "there" : "none");
}

void print_document(std::FILE* out, const Json& shown, std::int64_t most_tokens) {
  const std::int64_t tokens = shown.at("tokens");
  fmt::print(out, "\ndocument {}, {} tokens{}:\n{}\n", shown.at("document").get<std::int64_t>(), format_grouped(tokens),
             tokens > most_tokens ? fmt::format(", the first {}", most_tokens) : "",
             shown.contains("text") ? printable(shown.at("text").get<std::string>()) : dumped(shown.at("ids"), -1));
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

Json stats_json(const std::string& prefix, const trainer::DatasetStats& stats, bool has_end_of_text) {
  Json json = {{"prefix", prefix},
               {"documents", stats.documents},
               {"tokens", stats.tokens},
               {"mean_document_tokens", share(stats.tokens, stats.documents)},
               {"distinct_tokens", stats.distinct_tokens},
               {"other_tokens", stats.other_tokens},
               {"duplicate_documents", stats.duplicate_documents},
               {"duplicate_tokens", stats.duplicate_tokens}};
  if (has_end_of_text) {
    json["end_of_text_tokens"] = stats.end_of_text_tokens;
    json["end_of_text_share"] = share(stats.end_of_text_tokens, stats.tokens);
    json["documents_ending_with_end_of_text"] = stats.documents_ending_with_it;
  }
  json["quantiles"] = Json::array();
  for (const auto& q : stats.quantiles) json["quantiles"].push_back({{"fraction", q.fraction}, {"tokens", q.tokens}});
  json["lengths"] = Json::array();
  for (const auto& bin : stats.lengths)
    json["lengths"].push_back({{"least", bin.least}, {"most", bin.most}, {"documents", bin.documents}});
  return json;
}

void print_stats(std::FILE* out, const Json& json) {
  const std::int64_t documents = json.at("documents"), tokens = json.at("tokens");
  fmt::print(out, "{}: {} documents, {} tokens, {:.1f} tokens a document\n", json.at("prefix").get<std::string>(),
             format_grouped(documents), format_grouped(tokens), json.at("mean_document_tokens").get<double>());
  fmt::print(out, "{} documents ({:.2f} %) are copies of one before, {} tokens\n",
             format_grouped(json.at("duplicate_documents")), 100 * share(json.at("duplicate_documents"), documents),
             format_grouped(json.at("duplicate_tokens")));
  if (json.contains("end_of_text_share"))
    fmt::print(out, "end of text: {:.3f} % of the tokens; {} documents end with it\n",
               100 * json.at("end_of_text_share").get<double>(),
               format_grouped(json.at("documents_ending_with_end_of_text")));
  fmt::print(out, "\ntokens a document, by share of the documents that have no more\n");
  for (const Json& q : json.at("quantiles"))
    fmt::print(out, "  {:>5.0f} %  {:>13}\n", 100 * q.at("fraction").get<double>(), format_grouped(q.at("tokens")));
  std::int64_t most = 1;
  for (const Json& bin : json.at("lengths")) most = std::max<std::int64_t>(most, bin.at("documents"));
  fmt::print(out, "\n{:>25}  {:>13}\n", "tokens", "documents");
  for (const Json& bin : json.at("lengths")) {
    const std::int64_t count = bin.at("documents");
    fmt::print(out, "{:>25}  {:>13}  {}\n",
               fmt::format("{} - {}", format_grouped(bin.at("least")), format_grouped(bin.at("most"))),
               format_grouped(count),
               std::string(static_cast<std::size_t>((count * kBarWidth + most - 1) / most), '#'));
  }
  fmt::print(out, "\n{} of the ids are in use; the most frequent\n", format_grouped(json.at("distinct_tokens")));
  for (const Json& token : json.at("most_frequent"))
    fmt::print(out, "  {:>8}  {:>13}  {:>6.2f} %  {}\n", token.at("token").get<std::int64_t>(),
               format_grouped(token.at("count")), 100 * share(token.at("count"), tokens),
               token.contains("text") ? dumped(token.at("text"), -1) : "");
}

}  // namespace

int run_data_inspect(const InspectOptions& options, std::FILE* out) {
  const trainer::IndexedDataset dataset(options.prefix);
  const std::optional<trainer::Tokenizer> tokenizer = tokenizer_of(options.tokenizer);
  Json description = described(options.prefix, dataset);
  Json shown = Json::array();
  if (options.document) {
    if (*options.document < 0 || *options.document >= dataset.documents())
      throw UsageError("--document {}: {} has documents 0 to {}", *options.document, options.prefix,
                       dataset.documents() - 1);
    shown.push_back(shown_document(dataset, tokenizer, *options.document, dataset.document_size(*options.document)));
  } else if (tokenizer) {
    for (std::int64_t document = 0; document < std::min(kShownDocuments, dataset.documents()); ++document)
      shown.push_back(shown_document(dataset, tokenizer, document, kShownTokens));
  }
  if (options.format == TextOrJson::kJson) {
    description["shown"] = std::move(shown);
    fmt::print(out, "{}\n", dumped(description, 2));
    return 0;
  }
  print_description(out, description);
  for (const Json& document : shown) print_document(out, document, options.document ? dataset.tokens() : kShownTokens);
  return 0;
}

int run_data_stats(const StatsOptions& options, std::FILE* out) {
  const trainer::IndexedDataset dataset(options.prefix);
  const std::optional<trainer::Tokenizer> tokenizer = tokenizer_of(options.tokenizer);
  std::optional<std::int32_t> end_of_text;
  if (tokenizer) end_of_text = tokenizer->end_of_text();
  const int threads = threads_or_all(options.threads);
  const trainer::DatasetStats stats =
      trainer::dataset_stats(dataset, end_of_text, static_cast<std::size_t>(options.most_frequent), threads);
  Json json = stats_json(options.prefix, stats, end_of_text.has_value());
  json["most_frequent"] = Json::array();
  for (const auto& [token, count] : stats.most_frequent) {
    Json one = {{"token", token}, {"count", count}};
    if (tokenizer && token < tokenizer->vocabulary_size())
      one["text"] = tokenizer->decode(std::vector<std::int32_t>{static_cast<std::int32_t>(token)});
    json["most_frequent"].push_back(std::move(one));
  }
  if (options.format == TextOrJson::kJson)
    fmt::print(out, "{}\n", dumped(json, 2));
  else
    print_stats(out, json);
  return 0;
}

}  // namespace stoa::launcher
