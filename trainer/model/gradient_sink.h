#pragma once
/// What the passes of a model tell and ask about blocks of parameters (ParameterTable::blocks), so that gradients are
/// reduced while the backward pass goes on and parameters are gathered while the forward pass does.
#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/base/error.h"

namespace stoa::trainer {

/// Takes the gradients of micro-batches. For each block of a chunk: part() any number of times, then complete() once a
/// micro-batch, micro-batches in ascending order. What part() gave is not written after complete(). A block is
/// completed before another one is begun: a sink may have memory for one.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  /// Memory to which the micro-batch's gradients of [offset, offset + elements), inside `block`, are added.
  virtual std::span<float> part(std::size_t block, std::int64_t offset, std::int64_t elements) = 0;
  /// The micro-batch adds nothing more to this block.
  virtual void complete(std::size_t block) = 0;
};

/// One flat buffer of table.gradient_elements that everything is added to.
class FlatSink final : public GradientSink {
 public:
  explicit FlatSink(std::span<float> gradients) : gradients_(gradients) {}
  std::span<float> part(std::size_t, std::int64_t offset, std::int64_t elements) override {
    if (offset + elements > std::ssize(gradients_))
      throw InternalError("a buffer of {} gradients ends before {} + {}", gradients_.size(), offset, elements);
    return gradients_.subspan(std::size_t(offset), std::size_t(elements));
  }
  void complete(std::size_t) override {}

 private:
  std::span<float> gradients_;
};

/// Waits until the parameters of a block are there.
class ParameterGate {
 public:
  virtual ~ParameterGate() = default;
  virtual void await(std::size_t block) = 0;
};

}  // namespace stoa::trainer
