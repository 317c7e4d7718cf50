#pragma once
/// The matrix products of one queue: oneDNN primitives by shape, built once, with their arguments and one growing scratch
/// buffer; on Isa::kPlain simple loops of our own. Only linear_cpu.cc knows what is inside.
#include <cstdint>
#include <memory>

#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer {

class MatmulCache {
 public:
  MatmulCache(cpu::Isa isa, int threads);
  ~MatmulCache();
  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer
