// Memory is planned once: whatever documents a micro-batch packs, a step after the first allocates nothing of size.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "stoa/tests/unit/trainer/document_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace {

std::atomic<long> large_allocations{0};
constexpr std::size_t kLarge = 4096;

}  // namespace

// Every allocation of a page or more that goes through operator new in this program is counted. Not inlined: g++ would
// see free() of what new returned and take it for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (size >= kLarge) ++large_allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (size >= kLarge) ++large_allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace stoa::trainer {
namespace {

constexpr std::int32_t kContext = 257;

ModelSettings long_context(ModelSettings model) {
  model.context_length = kContext;
  model.dropout = 0.1;
  return resolved(model);
}

TEST(TransformerAllocations, AStepWithOtherDocumentsTakesNoMoreThanWasPlanned) {
  for (const ModelSettings& model : {long_context(small_llama()), long_context(small_gpt2())}) {
    const ParameterTable table = make_parameter_table(model);
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      cpu::Queue queue({.threads = 1});
      ModelParameters parameters(table, precision);
      initialize_parameters(queue, table, 11, parameters.masters());
      parameters.refresh_copies(queue);
      const auto transformer = make_model(queue, table, parameters, precision, {.samples = 2, .seed = 17});
      std::vector<float> gradients(std::size_t(table.gradient_elements), 0.0F);
      const std::vector<std::int32_t> tokens(2 * kContext, 7);
      MicroBatch batch{.tokens_bt = tokens, .targets_bt = tokens, .samples = 2};
      transformer->train(batch, {}, gradients);
      for (const std::vector<Lengths>& lengths : {std::vector<Lengths>{{kContext}, {1, 256}},
                                                  {{64, 193}, {65, 64, 128}},
                                                  {Lengths(kContext, 1), {200, 57}}}) {
        const PackedDocuments documents = packed(lengths);
        batch.document_begin_bt = documents.begin_bt;
        batch.positions_bt = documents.positions_bt;
        const long before = large_allocations;
        transformer->train(batch, {}, gradients);
        EXPECT_EQ(large_allocations - before, 0);
      }
    }
  }
}

}  // namespace
}  // namespace stoa::trainer
