#pragma once
/// What an attempt before has written of steps that this one trains again.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// The loss that the last line of that step has in the last 4 MiB of metrics.jsonl; nothing where there is none.
std::optional<double> recorded_loss(const std::filesystem::path& file, std::int64_t step);

/// What is wrong with a loss that was another one before; empty where rounding explains it: 1e-4 of the loss in fp32,
/// where another layout changes some 1e-7 of it, and 1e-2 in bf16, where a number has 3 digits. Other weights or other
/// samples change more.
std::string loss_defect(double loss, double recorded, Precision precision);

}  // namespace stoa::trainer
