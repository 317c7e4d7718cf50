#include <dnnl.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/matmul_cache.h"

namespace stoa::trainer {
namespace {

/// The three products as C[m,n] (+)= A[m,k] B[k,n] over row-major memory, either operand read transposed.
struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  bool a_transposed = false, b_transposed = false;
  bool accumulated = false;  ///< C += instead of C =
  bool biased = false;       ///< C[i,:] += bias
  bool bf16_operands = false, bf16_result = false;
  auto key() const {
    return std::tie(m, n, k, a_transposed, b_transposed, accumulated, biased, bf16_operands, bf16_result);
  }
  bool operator<(const Product& other) const { return key() < other.key(); }
};

using dnnl::memory;

memory::desc description(std::int64_t rows, std::int64_t columns, bool transposed, bool bf16_elements) {
  const auto type = bf16_elements ? memory::data_type::bf16 : memory::data_type::f32;
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, type, strides};
}

/// A primitive with its arguments; only the data handles change between calls.
struct Ready {
  dnnl::matmul primitive;
  memory a, b, c, bias, scratch;
  std::vector<dnnl_exec_arg_t> arguments;
};

class Scratch {
 public:
  template <typename T>
  std::span<T> floats(std::size_t count) {
    const std::size_t size_bytes = count * sizeof(T) + 64;
    if (bytes_.size() < size_bytes) bytes_.resize(size_bytes);
    const auto address = (reinterpret_cast<std::uintptr_t>(bytes_.data()) + 63) / 64 * 64;
    return {reinterpret_cast<T*>(address), count};
  }

 private:
  std::vector<std::byte> bytes_;
};

dnnl_cpu_isa_t onednn_isa(cpu::Isa isa) {
  switch (isa) {
    case cpu::Isa::kPlain:
    case cpu::Isa::kAvx2: return dnnl_cpu_isa_avx2;
    case cpu::Isa::kAvx512: return dnnl_cpu_isa_avx512_core_vnni;
    case cpu::Isa::kAvx512Bf16: return dnnl_cpu_isa_all;
  }
  return dnnl_cpu_isa_all;
}

}  // namespace

struct MatmulCache::State {
  explicit State(cpu::Isa own_isa) : isa(own_isa), engine(make_engine(own_isa)), stream(engine) {}

  /// oneDNN's limit holds for the whole process and only before its first use: later queues keep the first one's.
  static dnnl::engine make_engine(cpu::Isa isa) {
    static std::once_flag once;
    std::call_once(once, [isa] { dnnl_set_max_cpu_isa(onednn_isa(isa)); });
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }

  Ready& ready(const Product& product);

  cpu::Isa isa;
  dnnl::engine engine;
  dnnl::stream stream;
  std::map<Product, Ready> products;
  Scratch scratch, widened_a, widened_b, widened_c;
};

MatmulCache::MatmulCache(cpu::Isa isa, int) : state_(std::make_unique<State>(isa)) {}
MatmulCache::~MatmulCache() = default;

Ready& MatmulCache::State::ready(const Product& product) {
  const auto found = products.find(product);
  if (found != products.end()) return found->second;
  const auto a = description(product.m, product.k, product.a_transposed, product.bf16_operands);
  const auto b = description(product.k, product.n, product.b_transposed, product.bf16_operands);
  const auto c = description(product.m, product.n, false, product.bf16_result);
  const memory::desc bias({1, product.n}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (product.accumulated) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  const auto operation = product.biased ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
  const dnnl::matmul::primitive_desc primitive(operation, attributes, engine);
  Ready made;
  made.primitive = dnnl::matmul(primitive);
  made.a = memory(a, engine, nullptr);
  made.b = memory(b, engine, nullptr);
  made.c = memory(c, engine, nullptr);
  made.scratch = memory(primitive.scratchpad_desc(), engine, nullptr);
  made.arguments = {{DNNL_ARG_SRC, made.a.get()},
                    {DNNL_ARG_WEIGHTS, made.b.get()},
                    {DNNL_ARG_DST, made.c.get()},
                    {DNNL_ARG_SCRATCHPAD, made.scratch.get()}};
  if (product.biased) {
    made.bias = memory(bias, engine, nullptr);
    made.arguments.push_back({DNNL_ARG_BIAS, made.bias.get()});
  }
  return products.emplace(product, std::move(made)).first->second;
}

namespace {

void multiply_onednn(MatmulCache::State& state, const Product& product, const void* a, const void* b, const float* bias,
                     void* c) {
  Ready& ready = state.ready(product);
  ready.a.set_data_handle(const_cast<void*>(a));
  ready.b.set_data_handle(const_cast<void*>(b));
  ready.c.set_data_handle(c);
  if (product.biased) ready.bias.set_data_handle(const_cast<float*>(bias));
  const std::size_t scratch_bytes = ready.scratch.get_desc().get_size();
  if (scratch_bytes > 0) ready.scratch.set_data_handle(state.scratch.floats<std::byte>(scratch_bytes).data());
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(ready.primitive.get(), state.stream.get(), static_cast<int>(ready.arguments.size()),
                             ready.arguments.data()),
      "matrix product failed");
}

/// The plain path: every element of C is one sum in the order of k.
void multiply_plain(cpu::Queue& queue, const Product& product, const float* a, const float* b, const float* bias, float* c) {
  const auto element = [](const float* x, bool transposed, std::int64_t row, std::int64_t column, std::int64_t rows,
                          std::int64_t columns) { return transposed ? x[column * rows + row] : x[row * columns + column]; };
  queue.parallel_for(product.m, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* row = c + i * product.n;
      if (!product.accumulated) std::fill(row, row + product.n, 0.0F);
      if (product.b_transposed) {
        for (std::int64_t j = 0; j < product.n; ++j) {
          float sum = 0;
          for (std::int64_t k = 0; k < product.k; ++k)
            sum += element(a, product.a_transposed, i, k, product.m, product.k) * b[j * product.k + k];
          row[j] += sum;
        }
      } else {
        for (std::int64_t k = 0; k < product.k; ++k) {
          const float factor = element(a, product.a_transposed, i, k, product.m, product.k);
          for (std::int64_t j = 0; j < product.n; ++j) row[j] += factor * b[k * product.n + j];
        }
      }
      if (product.biased)
        for (std::int64_t j = 0; j < product.n; ++j) row[j] += bias[j];
    }
  });
}

void multiply_fp32(cpu::Queue& queue, const Product& product, const float* a, const float* b, const float* bias, float* c) {
  if (queue.isa() == cpu::Isa::kPlain) return multiply_plain(queue, product, a, b, bias, c);
  multiply_onednn(queue.matmul_cache().state(), product, a, b, bias, c);
}

std::span<const float> widen(cpu::Queue& queue, Scratch& scratch, const void* x, std::int64_t elements) {
  const auto wide = scratch.floats<float>(static_cast<std::size_t>(elements));
  cast(queue, std::span(static_cast<const bf16*>(x), wide.size()), wide);
  return wide;
}

/// bf16 operands where the processor has no bf16 product: convert, multiply in fp32, round.
void multiply_widened(cpu::Queue& queue, Product product, const void* a, const void* b, const float* bias, void* c) {
  MatmulCache::State& state = queue.matmul_cache().state();
  const auto wide_a = widen(queue, state.widened_a, a, product.m * product.k);
  const auto wide_b = widen(queue, state.widened_b, b, product.k * product.n);
  const bool rounded = product.bf16_result;
  product.bf16_operands = product.bf16_result = false;
  if (!rounded) return multiply_fp32(queue, product, wide_a.data(), wide_b.data(), bias, static_cast<float*>(c));
  const auto wide_c = state.widened_c.floats<float>(static_cast<std::size_t>(product.m * product.n));
  multiply_fp32(queue, product, wide_a.data(), wide_b.data(), bias, wide_c.data());
  cast(queue, std::span<const float>(wide_c), std::span(static_cast<bf16*>(c), wide_c.size()));
}

void multiply(cpu::Queue& queue, const Product& product, const void* a, const void* b, const float* bias, void* c) {
  if (product.m == 0 || product.n == 0 || product.k == 0) return;
  if (!product.bf16_operands)
    return multiply_fp32(queue, product, static_cast<const float*>(a), static_cast<const float*>(b), bias,
                         static_cast<float*>(c));
  if (queue.isa() != cpu::Isa::kAvx512Bf16) return multiply_widened(queue, product, a, b, bias, c);
  multiply_onednn(queue.matmul_cache().state(), product, a, b, bias, c);
}

void require(bool fits, const char* what) {
  if (!fits) throw InternalError("{}: the spans do not fit rows, inputs and outputs", what);
}

template <typename T>
constexpr bool kIsBf16 = std::is_same_v<T, bf16>;

}  // namespace

template <typename TX, typename TY>
void linear_forward(cpu::Queue& queue, std::span<const TX> x_nd, std::span<const TX> w_fd, std::span<const float> b_f,
                    std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::span<TY> y_nf) {
  require(std::ssize(x_nd) >= rows * inputs && std::ssize(w_fd) >= outputs * inputs && std::ssize(y_nf) >= rows * outputs,
          "linear_forward");
  const Product product{.m = rows, .n = outputs, .k = inputs, .b_transposed = true, .biased = !b_f.empty(),
                        .bf16_operands = kIsBf16<TX>, .bf16_result = kIsBf16<TY>};
  multiply(queue, product, x_nd.data(), w_fd.data(), b_f.data(), y_nf.data());
}

template <typename TX, typename TY>
void linear_backward_input(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> w_fd, std::int64_t rows,
                           std::int64_t inputs, std::int64_t outputs, std::span<TY> dx_nd) {
  require(std::ssize(dy_nf) >= rows * outputs && std::ssize(w_fd) >= outputs * inputs && std::ssize(dx_nd) >= rows * inputs,
          "linear_backward_input");
  const Product product{.m = rows, .n = inputs, .k = outputs, .bf16_operands = kIsBf16<TX>, .bf16_result = kIsBf16<TY>};
  multiply(queue, product, dy_nf.data(), w_fd.data(), nullptr, dx_nd.data());
}

template <typename TX>
void linear_backward_weight(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> x_nd, std::int64_t rows,
                            std::int64_t inputs, std::int64_t outputs, std::span<float> dw_fd) {
  require(std::ssize(dy_nf) >= rows * outputs && std::ssize(x_nd) >= rows * inputs && std::ssize(dw_fd) >= outputs * inputs,
          "linear_backward_weight");
  const Product product{.m = outputs, .n = inputs, .k = rows, .a_transposed = true, .accumulated = true,
                        .bf16_operands = kIsBf16<TX>};
  multiply(queue, product, dy_nf.data(), x_nd.data(), nullptr, dw_fd.data());
}

template void linear_forward<float, float>(cpu::Queue&, std::span<const float>, std::span<const float>,
                                           std::span<const float>, std::int64_t, std::int64_t, std::int64_t,
                                           std::span<float>);
template void linear_forward<bf16, bf16>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>, std::span<const float>,
                                         std::int64_t, std::int64_t, std::int64_t, std::span<bf16>);
template void linear_forward<bf16, float>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>,
                                          std::span<const float>, std::int64_t, std::int64_t, std::int64_t,
                                          std::span<float>);
template void linear_backward_input<float, float>(cpu::Queue&, std::span<const float>, std::span<const float>, std::int64_t,
                                                  std::int64_t, std::int64_t, std::span<float>);
template void linear_backward_input<bf16, bf16>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>, std::int64_t,
                                                std::int64_t, std::int64_t, std::span<bf16>);
template void linear_backward_input<bf16, float>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>, std::int64_t,
                                                 std::int64_t, std::int64_t, std::span<float>);
template void linear_backward_weight<float>(cpu::Queue&, std::span<const float>, std::span<const float>, std::int64_t,
                                            std::int64_t, std::int64_t, std::span<float>);
template void linear_backward_weight<bf16>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>, std::int64_t,
                                           std::int64_t, std::int64_t, std::span<float>);

}  // namespace stoa::trainer
