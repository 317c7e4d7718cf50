#include "stoa/trainer/model/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/trainer/model/generation.h"
#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {
namespace {

TEST(MemoryPlan, PartsOfABufferAreAlignedAndDoNotOverlap) {
  MemoryTable table;
  const auto carve = [](Carver& carver) {
    const auto a = carver.take<float>("a", 33);
    const auto b = carver.take<bf16>("b", 1);
    const auto none = carver.take<float>("none", 0);
    const auto c = carver.take<float>("c", 65);
    EXPECT_TRUE(none.empty());
    return std::array{static_cast<void*>(a.data()), static_cast<void*>(b.data()), static_cast<void*>(c.data())};
  };
  Carver plan(MemoryKind::kWorkspace, &table);
  EXPECT_EQ(carve(plan)[0], nullptr);
  PageBuffer memory(plan.size_bytes());
  Carver carver(memory.bytes());
  const auto places = carve(carver);
  EXPECT_EQ(carver.size_bytes(), plan.size_bytes());
  EXPECT_EQ(table.total(), plan.size_bytes());
  ASSERT_EQ(table.parts.size(), 3U);
  for (std::size_t i = 0; i < places.size(); ++i) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(places[i]) % 256, 0U) << i;
  EXPECT_GE(static_cast<std::byte*>(places[1]) - static_cast<std::byte*>(places[0]),
            std::ptrdiff_t(33 * sizeof(float)));
  EXPECT_GT(places[2], places[1]);
}

TEST(MemoryPlan, ABufferTooSmallIsNamedByThePartThatDoesNotFit) {
  PageBuffer memory(512);
  Carver carver(memory.bytes());
  carver.take<float>("first", 65);
  try {
    carver.take<float>("second", 1);
    FAIL() << "took more than there is";
  } catch (const InternalError& failure) {
    EXPECT_NE(std::string(failure.what()).find("second"), std::string::npos);
  }
}

TEST(MemoryPlan, FreshMemoryIsZeroAndMovesWithItsOwner) {
  PageBuffer first((std::size_t{2} << 20) + 257);
  auto values = first.bytes();
  EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](std::byte b) { return b == std::byte{0}; }));
  values.back() = std::byte{7};
  PageBuffer second(std::move(first));
  EXPECT_EQ(second.bytes().data(), values.data());
  EXPECT_EQ(second.bytes().back(), std::byte{7});
  EXPECT_TRUE(first.bytes().empty());
}

/// The bytes that the constructor of Transformer carves, and the same calls with memory behind them.
template <typename T>
std::size_t carved_bytes(const ParameterTable& table, const ModelShape& shape, int threads) {
  const TransformerSizes sizes(table, shape.samples);
  PageBuffer memory(std::size_t{64} << 20);
  Carver carver(memory.bytes());
  TransformerWorkspace<T> work;
  ActivationCarver<T>(carver, table, sizes, shape).carve();
  carve_exchanged<T>(carver, sizes, shape, 1, work);
  carve_workspace<T>(carver, table, sizes, shape, threads, work);
  return carver.size_bytes();
}

std::size_t planned_bytes(const ParameterTable& table, Precision precision, const ModelShape& shape) {
  MemoryTable plan;
  plan_model(table, precision, shape, 2, plan);
  std::size_t sum = 0;
  for (const MemoryPart& part : plan.parts)
    if (part.name != "rest of the last huge page" && part.name != "angles of positions") sum += part.size_bytes;
  return sum;
}

TEST(MemoryPlan, ThePlanOfAModelIsWhatItTakes) {
  for (const ModelSettings& model : {small_llama(), small_gpt2()}) {
    const ParameterTable table = make_parameter_table(model);
    for (const ModelUse use : {ModelUse::kTraining, ModelUse::kEvaluation}) {
      const ModelShape shape{.samples = 3, .use = use};
      EXPECT_EQ(planned_bytes(table, Precision::kFp32, shape), carved_bytes<float>(table, shape, 2));
      EXPECT_EQ(planned_bytes(table, Precision::kBf16, shape), carved_bytes<bf16>(table, shape, 2));
    }
  }
}

TEST(MemoryPlan, BuffersEndWithTheirLastHugePage) {
  const ParameterTable table = make_parameter_table(small_llama());
  MemoryTable plan;
  plan_model(table, Precision::kFp32, {.samples = 3}, 1, plan);
  EXPECT_EQ(plan.total(MemoryKind::kActivations) % (std::size_t{2} << 20), 0U);
  EXPECT_EQ(plan.total(MemoryKind::kWorkspace) % (std::size_t{2} << 20), 0U);
}

TEST(MemoryPlan, EvaluationKeepsOneLayerHoweverManyThereAre) {
  ModelSettings deep = small_llama();
  deep.layers = 7;
  const ModelShape shape{.samples = 2, .use = ModelUse::kEvaluation};
  EXPECT_EQ(planned_bytes(make_parameter_table(deep), Precision::kFp32, shape),
            planned_bytes(make_parameter_table(small_llama()), Precision::kFp32, shape));
}

TEST(MemoryPlan, WhatNeighboursHoldIsResidentButNotTaken) {
  MemoryTable table;
  table.add(MemoryKind::kGradients, "gradients", 257);
  table.add(MemoryKind::kNeighbours, "gradients", 65);
  table.add(MemoryKind::kWorkspace, "nothing", 0);
  EXPECT_EQ(table.parts.size(), 2U);
  EXPECT_EQ(table.total(), 257U);
  EXPECT_EQ(table.resident(), 322U);
}

TEST(MemoryPlan, PartsOfOneKindAndNameAreOneLine) {
  MemoryTable table;
  for (const std::size_t size : {33U, 65U}) table.add(MemoryKind::kActivations, "norm output", size);
  table.add(MemoryKind::kWorkspace, "norm output", 257);
  const MemoryTable merged = table.merged();
  ASSERT_EQ(merged.parts.size(), 2U);
  EXPECT_EQ(merged.parts[0].name, "norm output, 2 times");
  EXPECT_EQ(merged.parts[0].size_bytes, 98U);
  EXPECT_EQ(merged.parts[1].name, "norm output");
}

TEST(MemoryPlan, ColumnsAreInOneUnit) {
  EXPECT_EQ(format_mib(0), "0.0");
  EXPECT_EQ(format_mib(std::size_t{1} << 20), "1.0");
  EXPECT_EQ(format_mib(std::size_t{1234} << 20), "1,234.0");
  EXPECT_EQ(format_mib((std::size_t{33} << 20) + (std::size_t{1} << 19)), "33.5");
}

TEST(MemoryPlan, GenerationKeepsKeysAndValuesOfAWholeContext) {
  const ParameterTable table = make_parameter_table(small_llama());
  const MemoryTable plan = plan_generation_memory(table, Precision::kBf16);
  std::size_t cached = 0;
  for (const MemoryPart& part : plan.parts)
    if (part.name == "keys read" || part.name == "values read") cached += part.size_bytes;
  const auto least = std::size_t(2 * table.model.layers * table.model.context_length * table.model.key_value_heads *
                                 table.model.head_width);
  EXPECT_GE(cached, least * sizeof(bf16));
  EXPECT_LT(cached, least * sizeof(bf16) + std::size_t(2 * table.model.layers) * 256);
}

}  // namespace
}  // namespace stoa::trainer
