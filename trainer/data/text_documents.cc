#include "stoa/trainer/data/text_documents.h"

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::string_view kLineEnds = "\r\n";

std::string_view without_line_ends(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kLineEnds);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kLineEnds) + 1 - begin);
}

void add_if_any(std::string_view text, std::vector<std::string_view>& documents) {
  const std::string_view document = without_line_ends(text);
  if (!document.empty()) documents.push_back(document);
}

}  // namespace

std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> documents;
  std::size_t document = 0;
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t newline = text.find('\n', line);
    const std::size_t end = newline == std::string_view::npos ? text.size() : newline;
    std::string_view content = text.substr(line, end - line);
    if (content.ends_with('\r')) content.remove_suffix(1);
    if (content == separator) {
      add_if_any(text.substr(document, line - document), documents);
      document = end;
    }
    line = end + 1;
  }
  add_if_any(text.substr(document), documents);
  return documents;
}

TextDocuments::TextDocuments(std::span<const std::string> paths, std::string_view separator) {
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) throw DataError("{}: no such text file", path);
    const MappedFile& file = files_.emplace_back(path);
    bytes_ += static_cast<std::int64_t>(file.bytes().size());
    const std::vector<std::string_view> found = split_documents(file.text(), separator);
    documents_.insert(documents_.end(), found.begin(), found.end());
  }
}

}  // namespace stoa::trainer
