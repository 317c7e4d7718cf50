#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "stoa/base/json.h"
#include "stoa/base/units.h"
#include "stoa/trainer/curation/data_sheet_answers.h"

namespace stoa::trainer {
namespace {

constexpr std::string_view kPersonalDataStep = "pii";

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

std::string counts_of(std::string_view title, const std::map<std::string, std::int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? fmt::format("; {}: ", title) : ", ", name, format_grouped(count));
  return text;
}

}  // namespace

std::string recipe_text(const CurationRecord& record, const char* key) {
  if (!record.recipe.is_object()) return "";
  const auto found = record.recipe.find(key);
  if (found == record.recipe.end() || !(found->is_string() || found->is_number())) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string step_sentence(const StepRecord& step) {
  return fmt::format("{} version {} with {}: {} documents in, {} dropped, {} changed{}{}.", step.name, step.version,
                     step.settings.dump(), format_grouped(step.documents_in), format_grouped(step.documents_dropped),
                     format_grouped(step.documents_changed), counts_of("documents by reason", step.reasons),
                     counts_of("places replaced or removed", step.replaced));
}

std::string personal_data_sentence(const CurationRecord& record) {
  std::string text;
  for (const StepRecord& step : record.steps)
    if (step.name == kPersonalDataStep) text += step_sentence(step) + " ";
  if (text.empty()) return "";
  return text +
         "This step finds what its settings name by form alone; it does not look for names of people, postal addresses "
         "or "
         "anything written in another form, so personal data may remain.";
}

std::string markdown_code(std::string_view text) {
  std::string line(text);
  std::replace_if(line.begin(), line.end(), is_control, ' ');
  std::size_t longest = 0, run = 0;
  for (const char c : line) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  const std::string_view pad = longest > 0 || line.empty() ? " " : "";
  return fmt::format("{}{}{}{}{}", fence, pad, line, pad, fence);
}

std::string markdown_text(std::string_view text) {
  constexpr std::string_view kActs = "\\`*[]<>#|&~";
  const auto in_word = [&](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  std::string escaped;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool underscore_acts = c == '_' && !(at > 0 && in_word(at - 1) && in_word(at + 1));
    if (kActs.find(c) != std::string_view::npos || underscore_acts) escaped += '\\';
    escaped += is_control(c) ? ' ' : c;
  }
  return escaped;
}

}  // namespace stoa::trainer
