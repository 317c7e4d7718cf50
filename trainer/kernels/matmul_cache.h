#pragma once
/// The matrix products of one queue by oneDNN: primitives by shape, built once, with their arguments and one growing
/// scratch buffer. Only linear_cpu.cc calls it, and never on Isa::kPlain: there the loops of linear_loops.h are the
/// product (a build under ThreadSanitizer needs code that it can see into).
#include <compare>
#include <cstdint>
#include <memory>
#include <span>

#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer {

enum class ProductForm { kForward, kInputGradient, kWeightGradient };
enum class ElementType { kFloat, kBf16 };
enum class BiasUse { kNone, kAdded };

/// Which product: the names are linear.h's.
struct ProductKey {
  ProductForm form;
  ElementType operand;
  ElementType result;
  BiasUse bias;
  std::int64_t rows;
  std::int64_t inputs;
  std::int64_t outputs;
  auto operator<=>(const ProductKey&) const = default;
};

class MatmulCache {
 public:
  /// The first cache of the process lowers oneDNN to detected_isa(). A cache for Isa::kPlain is empty.
  MatmulCache(cpu::Isa isa, int threads);
  ~MatmulCache();

  /// left, right: x and w (forward), dy and w (input gradient), dy and x (weight gradient, which adds to the result).
  /// Throws ResourceError where oneDNN cannot build the product.
  void multiply(const ProductKey& key, const void* left, const void* right, const float* bias, void* result);

  /// Memory for operands and results converted to fp32; grown once, valid until the next call.
  std::span<float> conversion_floats(std::size_t count);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
