#include "stoa/launcher/mixture_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "stoa/base/units.h"

namespace stoa::launcher {
namespace {

/// One row; `samples` are drawn out of `share` of the stream.
std::string row(std::string_view stage, const trainer::OpenSource& source, std::string_view share, std::int64_t samples,
                std::int64_t context_length) {
  const double epochs = static_cast<double>(samples) / static_cast<double>(source.train.samples_per_epoch());
  const std::string limit =
      source.settings.max_epochs > 0
          ? fmt::format("{} of at most {}", fmt::format("{:.3f}", epochs), source.settings.max_epochs)
          : fmt::format("{:.3f}", epochs);
  return fmt::format("{:<14}{:<18}{:>10}{:>17}{:>21}  {}\n", stage, source.settings.name, share,
                     format_grouped(samples), format_grouped(samples * context_length), limit);
}

std::string share_text(std::int64_t places, std::int64_t of) {
  return fmt::format("{:.3f} %", 100 * static_cast<double>(places) / static_cast<double>(of));
}

}  // namespace

std::string mixture_table(const Experiment& e, const trainer::TrainingData& data) {
  const std::int64_t batch = e.training.global_batch;
  std::string text =
      fmt::format("{:<14}{:<18}{:>10}{:>17}{:>21}  epochs\n", "from step", "source", "share", "samples", "tokens");
  for (std::size_t i = 0; i < data.stages().size(); ++i) {
    const auto& stage = data.stages()[i];
    const std::int64_t end = i + 1 < data.stages().size() ? data.stages()[i + 1].from_step : e.training.steps;
    const auto before = data.plan()->drawn_before(stage.from_step * batch);
    const auto after = data.plan()->drawn_before(end * batch);
    const auto places = trainer::apportion(trainer::MixturePlan::kBlock, stage.weights);
    for (std::size_t s = 0; s < data.sources().size(); ++s)
      text += row(s == 0 ? format_grouped(stage.from_step) : "", data.sources()[s],
                  share_text(places[s], trainer::MixturePlan::kBlock), after[s] - before[s], e.model.context_length);
  }
  const std::int64_t all = e.training.steps * batch;
  const auto drawn = data.plan()->drawn_before(all);
  for (std::size_t s = 0; s < data.sources().size(); ++s)
    text +=
        row(s == 0 ? "whole run" : "", data.sources()[s], share_text(drawn[s], all), drawn[s], e.model.context_length);
  return text;
}

std::string mixture_part(const Experiment& e) {
  const auto is_there = [](const trainer::DataSource& source) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(source.prefix + ".idx", ignored);
  };
  if (e.data.sources.empty() || !std::all_of(e.data.sources.begin(), e.data.sources.end(), is_there)) return "";
  const trainer::TrainingData data(e.data, e.model.context_length, {e.training.steps, e.training.global_batch});
  std::string table = "\n" + mixture_table(e, data);
  table.pop_back();  // of the last line: who shows a part ends it
  return table;
}

}  // namespace stoa::launcher
