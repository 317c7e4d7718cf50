#pragma once
/// How a model begins.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/parameter_parts.h"

namespace stoa::trainer {

/// Initial weights in the given ranges, a function of (seed, name, global element index) alone: the same bits on any
/// layout and instruction set. InternalError where masters has not table.elements.
/// REQUIRES: masters are zero: padding and zero-initialised parameters are not written.
void initialize_parameters(cpu::Queue& queue, const ParameterTable& table, std::uint64_t seed, std::span<float> masters,
                           std::span<const parallel::Slice> ranges);
/// Everything that this rank's share has.
void initialize_parameters(cpu::Queue& queue, const ParameterTable& table, std::uint64_t seed,
                           std::span<float> masters);

}  // namespace stoa::trainer
