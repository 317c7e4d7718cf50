#include "stoa/trainer/loop/recorded_loss.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::trainer {
namespace {

constexpr std::streamoff kTailBytes = std::streamoff{4} << 20;

}  // namespace

std::optional<double> recorded_loss(const std::filesystem::path& file, std::int64_t step) {
  std::ifstream lines(file, std::ios::binary | std::ios::ate);
  if (const std::streamoff bytes = lines.tellg(); bytes > kTailBytes)
    lines.seekg(bytes - kTailBytes);
  else
    lines.seekg(0);
  std::optional<double> loss;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("{\"kind\":\"step\"")) continue;
    try {
      const Json json = parse_json(line, file.string());
      if (json.value("step", std::int64_t{-1}) == step && json.at("loss").is_number()) loss = json.at("loss");
    } catch (const DataError&) {
      continue;  // the line in which a killed attempt ended
    }
  }
  return loss;
}

std::string loss_defect(double loss, double recorded, Precision precision) {
  const double tolerance = precision == Precision::kBf16 ? 1e-2 : 1e-4;
  if (std::abs(loss - recorded) <= tolerance * std::abs(recorded)) return "";
  return fmt::format("is {}, but was {} when an attempt before trained it: more than rounding explains", loss,
                     recorded);
}

}  // namespace stoa::trainer
