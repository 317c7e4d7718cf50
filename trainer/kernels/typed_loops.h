#pragma once
/// The table of one kernel's inner loops for both types of activations. A kernel `X` declares its table in X_loops.h,
/// defines it in X_loops.cc (compiled once per instruction set into a namespace of its own) and calls through it from
/// X_cpu.cc.
#include <type_traits>

#include "stoa/trainer/kernels/bf16.h"

namespace stoa::trainer::cpu {

template <template <typename> class Loops>
struct TypedLoops {
  Loops<float> of_float;
  Loops<bf16> of_bf16;

  template <typename T>
  const Loops<T>& of() const {
    if constexpr (std::is_same_v<T, float>) {
      return of_float;
    } else {
      return of_bf16;
    }
  }
};

}  // namespace stoa::trainer::cpu
