#include "stoa/trainer/kernels/matmul_cache.h"

#include <omp.h>

#include <array>
#include <cstddef>
#include <dnnl.hpp>
#include <map>
#include <unordered_map>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

using dnnl::memory;

/// One built product. The memory objects hold no memory: handles are set at each call.
struct Product {
  int threads;
  dnnl::matmul primitive;
  memory left, right, bias, result, scratchpad;
  std::unordered_map<int, memory> arguments;
};

struct ProductLayout {
  memory::dims left, right, result;
  memory::format_tag left_tag, right_tag;
};

memory::data_type data_type(ElementType type) {
  return type == ElementType::kFloat ? memory::data_type::f32 : memory::data_type::bf16;
}

/// A transposed operand is the same memory read column by column (`ba`).
ProductLayout layout_of(const ProductKey& key) {
  using Tag = memory::format_tag;
  const auto [n, d, f] = std::array{key.rows, key.inputs, key.outputs};
  switch (key.form) {
    case ProductForm::kForward:
      return {{n, d}, {d, f}, {n, f}, Tag::ab, Tag::ba};
    case ProductForm::kInputGradient:
      return {{n, f}, {f, d}, {n, d}, Tag::ab, Tag::ab};
    case ProductForm::kWeightGradient:
      break;
  }
  return {{f, n}, {n, d}, {f, d}, Tag::ba, Tag::ab};
}

/// Where an fp32 product has few or thin results for its threads, oneDNN cuts the sums themselves among them, and the
/// bits depend on how many there are (seen at 2 threads and 1,025 or more terms: 2,064 x 6, 319 x 54, 33 x 48; not in
/// bf16). One thread does such a product. A large product's bits are the same on one thread and on many.
int threads_for(const ProductKey& key, const ProductLayout& layout, int threads) {
  constexpr std::int64_t kElementsPerThread = 16384;
  constexpr std::int64_t kThin = 64;
  const std::int64_t rows = layout.result[0];
  const std::int64_t columns = layout.result[1];
  const std::int64_t terms = layout.left[1];
  if (key.operand != ElementType::kFloat || terms <= 512) return threads;
  return rows < kThin || columns < kThin || rows * columns < kElementsPerThread * threads ? 1 : threads;
}

/// oneDNN asks OpenMP for the number of threads here and at execution; the setting belongs to the calling thread, where
/// another queue may have changed it.
Product build(const ProductKey& key, const dnnl::engine& engine, int queue_threads) {
  const ProductLayout layout = layout_of(key);
  const int threads = threads_for(key, layout, queue_threads);
  omp_set_num_threads(threads);
  const memory::desc left(layout.left, data_type(key.operand), layout.left_tag);
  const memory::desc right(layout.right, data_type(key.operand), layout.right_tag);
  const memory::desc result(layout.result, data_type(key.result), memory::format_tag::ab);
  const memory::desc bias({1, layout.result[1]}, memory::data_type::f32, memory::format_tag::ab);

  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (key.form == ProductForm::kWeightGradient) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc description = key.bias == BiasUse::kAdded ? dnnl::matmul::desc(left, right, bias, result)
                                                                     : dnnl::matmul::desc(left, right, result);
  const dnnl::matmul::primitive_desc primitive(description, attributes, engine);

  Product product{.threads = threads,
                  .primitive = dnnl::matmul(primitive),
                  .left = memory(left, engine, nullptr),
                  .right = memory(right, engine, nullptr),
                  .bias = memory(bias, engine, nullptr),
                  .result = memory(result, engine, nullptr),
                  .scratchpad = memory(primitive.scratchpad_desc(), engine, nullptr),
                  .arguments = {}};
  product.arguments = {{DNNL_ARG_SRC, product.left},
                       {DNNL_ARG_WEIGHTS, product.right},
                       {DNNL_ARG_DST, product.result},
                       {DNNL_ARG_SCRATCHPAD, product.scratchpad}};
  if (key.bias == BiasUse::kAdded) product.arguments.emplace(DNNL_ARG_BIAS, product.bias);
  return product;
}

/// To what the process may use, not to one queue's set: oneDNN takes one limit, before its first product.
void lower_onednn() {
  // The status says only whether oneDNN has already chosen; then its choice stands.
  switch (cpu::detected_isa()) {
    case cpu::Isa::kPlain:
      return;
    case cpu::Isa::kAvx512Bf16:
      // Not its products on AMX tiles: they cut sums among threads, and the bits would follow the threads (seen in bf16
      // weight gradients of 1,024 terms and more: 17 x 272, 512 x 272, 96 x 384).
      (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
      return;
    case cpu::Isa::kAvx2:
      (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
      return;
    case cpu::Isa::kAvx512:
      (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_vnni);
      return;
  }
}

}  // namespace

struct MatmulCache::State {
  int threads;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<ProductKey, Product> products;
  std::vector<std::byte> scratchpad;
  std::vector<float> conversion;
};

MatmulCache::MatmulCache(cpu::Isa isa, int threads) {
  if (isa == cpu::Isa::kPlain) return;
  lower_onednn();
  state_ = std::make_unique<State>(State{.threads = threads, .products = {}, .scratchpad = {}, .conversion = {}});
}

MatmulCache::~MatmulCache() = default;

void MatmulCache::multiply(const ProductKey& key, const void* left, const void* right, const float* bias,
                           void* result) try {
  State& state = *state_;
  auto found = state.products.find(key);
  if (found == state.products.end()) found = state.products.emplace(key, build(key, state.engine, state.threads)).first;
  Product& product = found->second;

  const std::size_t scratch = product.scratchpad.get_desc().get_size();
  if (state.scratchpad.size() < scratch) state.scratchpad.resize(scratch);
  product.scratchpad.set_data_handle(state.scratchpad.data());
  // oneDNN's interface takes no pointers to const; sources and bias are only read.
  product.left.set_data_handle(const_cast<void*>(left));
  product.right.set_data_handle(const_cast<void*>(right));
  product.result.set_data_handle(result);
  if (bias != nullptr) product.bias.set_data_handle(const_cast<float*>(bias));
  omp_set_num_threads(product.threads);
  product.primitive.execute(state.stream, product.arguments);
  omp_set_num_threads(state.threads);
} catch (const dnnl::error& error) {
  throw ResourceError("oneDNN cannot multiply {} rows, {} inputs, {} outputs: {}", key.rows, key.inputs, key.outputs,
                      error.what());
}

std::span<float> MatmulCache::conversion_floats(std::size_t count) {
  if (state_->conversion.size() < count) state_->conversion.resize(count);
  return std::span(state_->conversion).first(count);
}

}  // namespace stoa::trainer
