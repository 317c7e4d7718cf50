#include "stoa/trainer/curation/data_sheet_statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace stoa::trainer {
namespace {

/// The parts between separators where all of them are digits; else nothing.
std::vector<std::string_view> numbers_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    if (part.empty() || part.find_first_not_of("0123456789") != std::string_view::npos) return {};
    parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

bool is_version(std::string_view text) {
  const auto parts = numbers_of(text, '.');
  return parts.size() == 3 && std::none_of(parts.begin(), parts.end(), [](std::string_view part) {
           return part.size() > 1 && part.front() == '0';
         });
}

bool is_date(std::string_view text) {
  const auto parts = numbers_of(text, '-');
  return parts.size() == 3 && parts[0].size() == 4 && parts[1].size() == 2 && parts[2].size() == 2 &&
         parts[1] >= "01" && parts[1] <= "12" && parts[2] >= "01" && parts[2] <= "31";
}

}  // namespace

std::optional<Impossible> check_statements(const DataSetFacts& facts) {
  if (!facts.version.empty() && !is_version(facts.version))
    return Impossible{"version", fmt::format("version '{}' is not of the form 1.2.3", facts.version)};
  if (!facts.date_published.empty() && !is_date(facts.date_published))
    return Impossible{"date_published",
                      fmt::format("date_published '{}' is no date of the form 2026-03-05", facts.date_published)};
  return std::nullopt;
}

}  // namespace stoa::trainer
