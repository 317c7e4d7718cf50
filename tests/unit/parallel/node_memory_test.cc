#include "stoa/parallel/node_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace stoa::parallel {
namespace {

TEST(NodeMemory, WhatOneMappingWritesTheOtherReads) {
  NodeMemory first = NodeMemory::create(100003);
  std::optional<NodeMemory> second = NodeMemory::attach(first.name());
  ASSERT_TRUE(second);
  ASSERT_EQ(second->bytes().size(), 100003u);
  first.bytes()[65537] = std::byte{33};
  EXPECT_EQ(second->bytes()[65537], std::byte{33});
}

TEST(NodeMemory, StaysWhenItsNameIsForgottenAndItsMakerIsGone) {
  std::optional<NodeMemory> second;
  {
    NodeMemory first = NodeMemory::create(257);
    first.bytes()[256] = std::byte{65};
    second = NodeMemory::attach(first.name());
    first.forget_name();
  }
  EXPECT_EQ(second->bytes()[256], std::byte{65});
}

TEST(NodeMemory, ALookAlikeInAnotherContainerIsRefused) {
  const NodeMemory mine = NodeMemory::create(4097);
  const NodeMemory other = NodeMemory::create(4097);
  NodeMemoryName name = mine.name();
  name.descriptor = other.name().descriptor;
  EXPECT_FALSE(NodeMemory::attach(name));
}

TEST(NodeMemory, ANameThatIsGoneGivesNothing) {
  NodeMemory memory = NodeMemory::create(33);
  NodeMemoryName name = memory.name();
  name.descriptor = 1 << 20;
  EXPECT_FALSE(NodeMemory::attach(name));
}

TEST(NodeMemory, PopulatedPagesAreStillZero) {
  NodeMemory memory = NodeMemory::create(8 * 4096);
  ASSERT_TRUE(memory.populate(4096, 3 * 4096));
  EXPECT_TRUE(std::ranges::all_of(memory.bytes(), [](std::byte byte) { return byte == std::byte{0}; }));
}

}  // namespace
}  // namespace stoa::parallel
