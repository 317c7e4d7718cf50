#pragma once
/// A model that reads one text token by token and says what may come next. Keys and values of everything read are kept,
/// so that a token costs one row of work. The implementation is a template over the queue and the type of activations
/// (generator.h); drawing a token from the logits is sampling.h.
#include <cstdint>
#include <memory>
#include <span>

#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

/// One text at a time. The memory is planned and allocated once, for a whole context.
class Generator {
 public:
  virtual ~Generator() = default;

  /// Reads the tokens after those read so far and returns the logits of what follows the last one: vocabulary_size
  /// floats, valid until the next call. REQUIRES: 0 <= token < vocabulary_size. InternalError for no tokens or more
  /// than room().
  virtual std::span<const float> read(std::span<const std::int32_t> tokens) = 0;
  /// Forgets what was read.
  virtual void restart() = 0;

  /// Tokens read so far: the position of the next one.
  virtual std::int64_t position() const = 0;
  /// Tokens that can still be read: a text ends where the context it was trained for ends.
  virtual std::int64_t room() const = 0;
};

/// Borrows queue, table and parameters.
std::unique_ptr<Generator> make_generator(cpu::Queue& queue, const ParameterTable& table,
                                          const ModelParameters& parameters, Precision precision);

/// The parts of the memory that make_generator allocates, without allocating any.
MemoryTable plan_generation_memory(const ParameterTable& table, Precision precision);

}  // namespace stoa::trainer
