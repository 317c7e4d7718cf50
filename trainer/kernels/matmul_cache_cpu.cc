#include "stoa/trainer/kernels/matmul_cache.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <dnnl.hpp>
#include <exception>
#include <map>
#include <unordered_map>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

using dnnl::memory;

/// A primitive's arguments for one thread. The memory objects hold no memory: handles are set at each call.
struct Arguments {
  memory left, right, bias, result, scratchpad;
  std::unordered_map<int, memory> by_number;
};

/// One built product of a shape.
struct Product {
  dnnl::matmul primitive;
  std::size_t scratch_bytes;
  std::vector<Arguments> of_thread;
};

struct Operands {
  const void* left;
  const void* right;
  const float* bias;
  void* result;
};

/// Elements to the next row and to the next column.
struct Steps {
  std::int64_t row, column;
};

/// result[rows, columns] = left[rows, terms] right[terms, columns], each somewhere in row-major memory.
struct ProductLayout {
  std::int64_t rows, columns, terms;
  Steps left, right;
};

/// Whether a block reads its operands where they are or from copies of its own.
enum class Panels { kInPlace, kCopied };
/// Rows and columns of a block of the result, and the terms that one call adds to it.
using Shape = std::array<std::int64_t, 3>;
/// A copied row is so much longer than its block: a stride that is no multiple of a page.
constexpr std::int64_t kPanelPadding = 16;

/// A product as blocks of its result: each a product of one thread where there are several, so that who computes what
/// changes no bit. At most eight shapes: whole blocks, and the rests of rows, of columns and of terms.
struct BlockedProduct {
  ProductLayout layout;
  std::int64_t block_rows, block_columns, block_terms;
  Panels panels;
  int threads_within;  ///< oneDNN's own, in a block
  std::map<Shape, Product> of_shape;

  std::int64_t down() const { return (layout.rows + block_rows - 1) / block_rows; }
  std::int64_t across() const { return (layout.columns + block_columns - 1) / block_columns; }
  Shape shape_at(std::int64_t row, std::int64_t column, std::int64_t term) const {
    return {std::min(block_rows, layout.rows - row), std::min(block_columns, layout.columns - column),
            std::min(block_terms, layout.terms - term)};
  }
};

memory::data_type data_type(ElementType type) {
  return type == ElementType::kFloat ? memory::data_type::f32 : memory::data_type::bf16;
}

std::size_t bytes_of(ElementType type) { return type == ElementType::kFloat ? 4 : 2; }

/// A transposed operand is the same memory read column by column.
ProductLayout layout_of(const ProductKey& key) {
  const auto [n, d, f] = std::array{key.rows, key.inputs, key.outputs};
  switch (key.form) {
    case ProductForm::kForward:
      return {n, f, d, {d, 1}, {1, d}};
    case ProductForm::kInputGradient:
      return {n, d, f, {f, 1}, {d, 1}};
    case ProductForm::kWeightGradient:
      break;
  }
  return {f, d, n, {1, f}, {d, 1}};
}

/// Where a product has few or thin results for its threads, oneDNN cuts the sums themselves among them, and the bits
/// depend on how many there are (seen in fp32 at 2 threads and 1,025 or more terms: 2,064 x 6, 319 x 54, 33 x 48; in
/// bf16 weight gradients at 2 threads and 2,048 terms: 256 x 64). One thread does such a product. A large product's
/// bits are the same on one thread and on many.
int threads_for(const ProductKey& key, const ProductLayout& layout, int threads) {
  constexpr std::int64_t kElementsPerThread = 16384;
  constexpr std::int64_t kThin = 64;
  const bool cuts_sums = key.operand == ElementType::kFloat || key.form == ProductForm::kWeightGradient;
  if (!cuts_sums || layout.terms <= 512) return threads;
  const bool thin = layout.rows < kThin || layout.columns < kThin;
  return thin || layout.rows * layout.columns < kElementsPerThread * threads ? 1 : threads;
}

/// With AVX2, oneDNN has one kernel for large parts of a result and another for small ones, which add in other orders:
/// the bits of an element depend on the part that its thread is given (seen at 2 threads: 64 x 64; at 3 nearly
/// everywhere). There the parts are these blocks, whoever computes them; whole tiles of both kernels (4 x 24, 6 x 16).
BlockedProduct blocked(const ProductKey& key, int queue_threads) {
  constexpr std::int64_t kBlockRows = 192;
  constexpr std::int64_t kBlockColumns = 384;
  constexpr std::int64_t kCopiedTerms = 512;
  const ProductLayout layout = layout_of(key);
  // Both operands of a weight gradient are read across their rows: where a row is a whole number of pages (a width of
  // 1,024), that takes twice the time of copying first. It adds to its result, so terms can come in parts.
  constexpr std::int64_t kPageFloats = 1024;
  const bool copied =
      key.form == ProductForm::kWeightGradient && (key.inputs % kPageFloats == 0 || key.outputs % kPageFloats == 0);
  if (cpu::detected_isa() == cpu::Isa::kAvx2)
    return {.layout = layout,
            .block_rows = kBlockRows,
            .block_columns = kBlockColumns,
            .block_terms = copied ? kCopiedTerms : layout.terms,
            .panels = copied ? Panels::kCopied : Panels::kInPlace,
            .threads_within = 1,
            .of_shape = {}};
  return {.layout = layout,
          .block_rows = layout.rows,
          .block_columns = layout.columns,
          .block_terms = layout.terms,
          .panels = Panels::kInPlace,
          .threads_within = threads_for(key, layout, queue_threads),
          .of_shape = {}};
}

dnnl::primitive_attr attributes_of(const ProductKey& key) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (key.form == ProductForm::kWeightGradient) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  return attributes;
}

/// oneDNN asks OpenMP for the number of threads here and at execution; the setting belongs to the calling thread, where
/// another queue may have changed it.
Product build(const ProductKey& key, const BlockedProduct& whole, const Shape& shape, const dnnl::engine& engine,
              int callers) {
  omp_set_num_threads(whole.threads_within);
  const auto [rows, columns, terms] = shape;
  const ProductLayout& layout = whole.layout;
  const bool copied = whole.panels == Panels::kCopied;
  const Steps left_steps = copied ? Steps{1, whole.block_rows + kPanelPadding} : layout.left;
  const Steps right_steps = copied ? Steps{whole.block_columns + kPanelPadding, 1} : layout.right;
  const auto matrix = [](std::int64_t height, std::int64_t width, ElementType type, const Steps& steps) {
    return memory::desc(memory::dims{height, width}, data_type(type), memory::dims{steps.row, steps.column});
  };
  const memory::desc left = matrix(rows, terms, key.operand, left_steps);
  const memory::desc right = matrix(terms, columns, key.operand, right_steps);
  const memory::desc result = matrix(rows, columns, key.result, {layout.columns, 1});
  const memory::desc bias({1, columns}, memory::data_type::f32, memory::format_tag::ab);
  const dnnl::matmul::desc description = key.bias == BiasUse::kAdded ? dnnl::matmul::desc(left, right, bias, result)
                                                                     : dnnl::matmul::desc(left, right, result);
  const dnnl::matmul::primitive_desc primitive(description, attributes_of(key), engine);
  Product product{
      .primitive = dnnl::matmul(primitive), .scratch_bytes = primitive.scratchpad_desc().get_size(), .of_thread = {}};
  for (int caller = 0; caller < callers; ++caller) {
    Arguments& of_caller =
        product.of_thread.emplace_back(Arguments{.left = memory(left, engine, nullptr),
                                                 .right = memory(right, engine, nullptr),
                                                 .bias = memory(bias, engine, nullptr),
                                                 .result = memory(result, engine, nullptr),
                                                 .scratchpad = memory(primitive.scratchpad_desc(), engine, nullptr),
                                                 .by_number = {}});
    of_caller.by_number = {{DNNL_ARG_SRC, of_caller.left},
                           {DNNL_ARG_WEIGHTS, of_caller.right},
                           {DNNL_ARG_DST, of_caller.result},
                           {DNNL_ARG_SCRATCHPAD, of_caller.scratchpad}};
    if (key.bias == BiasUse::kAdded) of_caller.by_number.emplace(DNNL_ARG_BIAS, of_caller.bias);
  }
  return product;
}

/// oneDNN's interface takes no pointers to const; sources and bias are only read.
std::byte* at(const void* matrix, std::int64_t element, ElementType type) {
  return static_cast<std::byte*>(const_cast<void*>(matrix)) + static_cast<std::size_t>(element) * bytes_of(type);
}

void copy_rows(const std::byte* from, std::int64_t from_step, std::byte* to, std::int64_t to_step,
               const std::array<std::int64_t, 2>& rows_and_columns, std::size_t element_bytes) {
  const auto [rows, columns] = rows_and_columns;
  for (std::int64_t row = 0; row < rows; ++row)
    std::memcpy(to + static_cast<std::size_t>(row * to_step) * element_bytes,
                from + static_cast<std::size_t>(row * from_step) * element_bytes,
                static_cast<std::size_t>(columns) * element_bytes);
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
  std::map<ProductKey, BlockedProduct> products;
  // One for each thread.
  std::vector<dnnl::stream> streams;
  std::vector<std::vector<std::byte>> scratchpads;
  std::vector<std::vector<std::byte>> panels;
  std::vector<float> conversion;

  BlockedProduct& product_of(const ProductKey& key);
  void add_shape(const ProductKey& key, BlockedProduct& product, const Shape& shape, int callers);
  void multiply_block(const ProductKey& key, BlockedProduct& product, std::int64_t block, const Operands& operands,
                      std::size_t caller);
};

void MatmulCache::State::add_shape(const ProductKey& key, BlockedProduct& product, const Shape& shape, int callers) {
  if (product.of_shape.contains(shape)) return;
  Product built = build(key, product, shape, engine, callers);
  const std::int64_t widths = product.block_rows + product.block_columns + 2 * kPanelPadding;
  const std::size_t panel_bytes =
      product.panels == Panels::kCopied ? static_cast<std::size_t>(shape[2] * widths) * bytes_of(key.operand) : 0;
  for (int caller = 0; caller < callers; ++caller) {
    std::vector<std::byte>& scratchpad = scratchpads[static_cast<std::size_t>(caller)];
    std::vector<std::byte>& panel = panels[static_cast<std::size_t>(caller)];
    scratchpad.resize(std::max(scratchpad.size(), built.scratch_bytes));
    panel.resize(std::max(panel.size(), panel_bytes));
  }
  product.of_shape.emplace(shape, std::move(built));
}

BlockedProduct& MatmulCache::State::product_of(const ProductKey& key) {
  const auto found = products.find(key);
  if (found != products.end()) return found->second;
  BlockedProduct product = blocked(key, threads);
  const int callers = product.down() * product.across() > 1 ? threads : 1;
  for (std::int64_t row = 0; row < product.layout.rows; row += product.block_rows)
    for (std::int64_t column = 0; column < product.layout.columns; column += product.block_columns)
      for (std::int64_t term = 0; term < product.layout.terms; term += product.block_terms)
        add_shape(key, product, product.shape_at(row, column, term), callers);
  return products.emplace(key, std::move(product)).first->second;
}

void MatmulCache::State::multiply_block(const ProductKey& key, BlockedProduct& product, std::int64_t block,
                                        const Operands& operands, std::size_t caller) {
  const ProductLayout& layout = product.layout;
  // Of the larger operand, each part is read for one run of blocks.
  const bool down_first = layout.columns > layout.rows;
  const std::int64_t row = (down_first ? block % product.down() : block / product.across()) * product.block_rows;
  const std::int64_t column = (down_first ? block / product.down() : block % product.across()) * product.block_columns;
  for (std::int64_t term = 0; term < layout.terms; term += product.block_terms) {
    const Shape shape = product.shape_at(row, column, term);
    Product& of_block = product.of_shape.at(shape);
    Arguments& arguments = of_block.of_thread[caller];
    std::byte* left = at(operands.left, row * layout.left.row + term * layout.left.column, key.operand);
    std::byte* right = at(operands.right, term * layout.right.row + column * layout.right.column, key.operand);
    if (product.panels == Panels::kCopied) {
      const std::size_t size = bytes_of(key.operand);
      const std::int64_t left_step = product.block_rows + kPanelPadding;
      const std::int64_t right_step = product.block_columns + kPanelPadding;
      std::byte* const left_panel = panels[caller].data();
      std::byte* const right_panel = at(left_panel, shape[2] * left_step, key.operand);
      copy_rows(left, layout.left.column, left_panel, left_step, {shape[2], shape[0]}, size);
      copy_rows(right, layout.right.row, right_panel, right_step, {shape[2], shape[1]}, size);
      left = left_panel;
      right = right_panel;
    }
    arguments.scratchpad.set_data_handle(scratchpads[caller].data());
    arguments.left.set_data_handle(left);
    arguments.right.set_data_handle(right);
    arguments.result.set_data_handle(at(operands.result, row * layout.columns + column, key.result));
    if (operands.bias != nullptr) arguments.bias.set_data_handle(at(operands.bias, column, ElementType::kFloat));
    of_block.primitive.execute(streams[caller], arguments.by_number);
  }
}

MatmulCache::MatmulCache(cpu::Isa isa, int threads) {
  if (isa == cpu::Isa::kPlain) return;
  lower_onednn();
  state_ = std::make_unique<State>(State{.threads = threads,
                                         .products = {},
                                         .streams = {},
                                         .scratchpads = std::vector<std::vector<std::byte>>(std::size_t(threads)),
                                         .panels = std::vector<std::vector<std::byte>>(std::size_t(threads)),
                                         .conversion = {}});
  for (int thread = 0; thread < threads; ++thread) state_->streams.emplace_back(state_->engine);
}

MatmulCache::~MatmulCache() = default;

void MatmulCache::multiply(const ProductKey& key, const void* left, const void* right, const float* bias,
                           void* result) try {
  State& state = *state_;
  BlockedProduct& product = state.product_of(key);
  const Operands operands{left, right, bias, result};
  const std::int64_t blocks = product.down() * product.across();
  omp_set_num_threads(product.threads_within);
  if (blocks == 1) {
    state.multiply_block(key, product, 0, operands, 0);
  } else {
    std::exception_ptr failure;
#pragma omp parallel for schedule(static) num_threads(state.threads)
    for (std::int64_t block = 0; block < blocks; ++block) {
      try {
        state.multiply_block(key, product, block, operands, static_cast<std::size_t>(omp_get_thread_num()));
      } catch (const dnnl::error&) {
#pragma omp critical(stoa_matmul_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
  }
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
