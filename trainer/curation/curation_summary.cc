#include "stoa/base/units.h"
#include "stoa/trainer/curation/curate.h"

namespace stoa::trainer {

std::string curation_summary(const CurationRecord& record) {
  std::string table = fmt::format("{:<18} {:>14} {:>14} {:>14} {:>12}  {}\n", "step", "documents in", "dropped",
                                  "changed", "text out", "reasons");
  for (const StepRecord& step : record.steps) {
    std::string reasons;
    for (const auto& [reason, count] : step.reasons)
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, format_grouped(count));
    table += fmt::format("{:<18} {:>14} {:>14} {:>14} {:>12}  {}\n", step.name, format_grouped(step.documents_in),
                         format_grouped(step.documents_dropped), format_grouped(step.documents_changed),
                         format_bytes(static_cast<double>(step.bytes_out)), reasons);
  }
  while (table.find(" \n") != std::string::npos) table.erase(table.find(" \n"), 1);
  const std::size_t files = record.outputs.size();
  return table + fmt::format("{} documents stay, {} of text{}\n", format_grouped(record.documents),
                             format_bytes(static_cast<double>(record.bytes)),
                             files == 0 ? "" : fmt::format(", in {} file{}", files, files == 1 ? "" : "s"));
}

}  // namespace stoa::trainer
