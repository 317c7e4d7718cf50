#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa {
namespace {

struct Bolt {
  std::string thread;
};
struct Wheel {
  std::string name;
  double radius = 0.25;
  std::vector<std::string> tyres;
  std::vector<Bolt> bolts;
  std::optional<bool> braked;
};
struct Cart {
  std::vector<Wheel> wheels;
  std::vector<std::string> crew;
  std::vector<std::int64_t> loads;
};

void describe_bolt(YamlFields& fields, Bolt& bolt) { fields.field("thread", bolt.thread, Presence::kRequired); }
void describe_wheel(YamlFields& fields, Wheel& wheel) {
  fields.field("braked", wheel.braked);
  fields.field("name", wheel.name, Presence::kRequired);
  fields.field("radius", wheel.radius, RealRange{.low = RealRange::End::kOpen});
  fields.field("tyres", wheel.tyres);
  fields.list("bolts", wheel.bolts, describe_bolt);
}
void describe_cart(YamlFields& fields, Cart& cart) {
  fields.list("wheels", cart.wheels, describe_wheel);
  fields.field("crew", cart.crew);
  fields.field("loads", cart.loads, WholeRange{.least = 1, .most = 33});
}

Cart read_cart(const std::string& text, Cart cart = {}) {
  const YamlFile file = YamlFile::parse(text, "cart.yaml");
  YamlReader reader(file);
  describe_cart(reader, cart);
  reader.finish();
  return cart;
}

std::string refusal(const std::string& text) {
  try {
    read_cart(text);
  } catch (const ConfigError& failure) {
    return failure.what();
  }
  return "read";
}

std::string write_cart(Cart cart) {
  YamlWriter writer;
  describe_cart(writer, cart);
  return writer.text();
}

TEST(YamlList, ReadsEachItemByTheSameDescription) {
  const Cart cart = read_cart(
      "wheels:\n- name: left\n  radius: 0.5\n  bolts: [{thread: M8}, {thread: M6}]\n- {name: right, tyres: [a, b]}\n");
  ASSERT_EQ(cart.wheels.size(), 2U);
  EXPECT_EQ(cart.wheels[0].name, "left");
  EXPECT_EQ(cart.wheels[0].radius, 0.5);
  ASSERT_EQ(cart.wheels[0].bolts.size(), 2U);
  EXPECT_EQ(cart.wheels[0].bolts[1].thread, "M6");
  EXPECT_EQ(cart.wheels[1].radius, 0.25);
  EXPECT_EQ(cart.wheels[1].tyres, (std::vector<std::string>{"a", "b"}));
}

TEST(YamlList, ALeftOutListStaysAndAGivenOneReplaces) {
  Cart spare;
  spare.wheels = {Wheel{.name = "spare", .radius = 3, .tyres = {"old"}, .bolts = {}, .braked = true}};
  EXPECT_EQ(read_cart("crew: [anna]\n", spare).wheels.at(0).name, "spare");
  EXPECT_EQ(read_cart("crew: [anna]\n", spare).wheels.at(0).radius, 3);
  EXPECT_TRUE(read_cart("wheels: []\n", spare).wheels.empty());
  const Cart other = read_cart("wheels: [{name: new}]\n", spare);
  EXPECT_EQ(other.wheels.at(0).radius, 0.25);
  EXPECT_TRUE(other.wheels[0].tyres.empty());
  EXPECT_FALSE(other.wheels[0].braked.has_value());
}

TEST(YamlList, NamesThePlaceOfWhatIsWrong) {
  EXPECT_EQ(refusal("wheels:\n- name: a\n- radius: 1\n"), "cart.yaml:3:3: wheels[1].name is missing: expected text");
  EXPECT_EQ(refusal("wheels:\n- {name: a, radius: 0}\n"),
            "cart.yaml:2:21: wheels[0].radius: expected a number above 0, found 0");
  EXPECT_EQ(refusal("wheels: 4\n"), "cart.yaml:1:9: wheels: expected a list of at most 1000 sections, found 4");
  EXPECT_EQ(refusal("wheels: [round]\n"), "cart.yaml:1:10: wheels[0]: expected a section, found round");
  EXPECT_EQ(refusal("wheels:\n- name: a\n  bolts:\n  - {thread: M8}\n  - {}\n"),
            "cart.yaml:5:5: wheels[0].bolts[1].thread is missing: expected text");
  std::string many = "wheels: [";
  for (int i = 0; i < 1001; ++i) many += "{name: a}, ";
  EXPECT_EQ(refusal(many + "]\n"), "cart.yaml:1:9: wheels: expected a list of at most 1000 sections, found a list");
}

TEST(YamlList, NamesAnUnknownKeyInAnItem) {
  EXPECT_EQ(refusal("wheels:\n- name: a\n- name: b\n  radios: 1\n"),
            "cart.yaml:4:3: unknown key 'wheels[1].radios'; did you mean 'radius' (a number above 0)?");
  EXPECT_EQ(refusal("wheel: []\n"),
            "cart.yaml:1:1: unknown key 'wheel'; did you mean 'wheels' (a list of at most 1000 sections)?");
}

TEST(YamlList, WritesWhatReadsBackBitForBit) {
  Cart cart;
  cart.wheels = {Wheel{.name = "a \"b\"\n", .radius = 0.1, .tyres = {"x: y", "- z"}, .bolts = {}, .braked = {}},
                 Wheel{.name = "- c", .radius = 1e-300, .tyres = {}, .bolts = {{"M8"}, {"M6"}}, .braked = false}};
  cart.crew = {"anna"};
  cart.loads = {33, 1};
  const std::string text = write_cart(cart);
  EXPECT_EQ(text,
            "wheels:\n  - name: \"a \\\"b\\\"\\n\"\n    radius: 0.1\n    tyres:\n      - \"x: y\"\n      - \"- z\"\n"
            "    bolts: []\n  - braked: false\n    name: \"- c\"\n    radius: 1e-300\n    tyres: []\n    bolts:\n"
            "      - thread: \"M8\"\n      - thread: \"M6\"\ncrew:\n  - \"anna\"\n"
            "loads: [33, 1]\n");
  EXPECT_EQ(write_cart(read_cart(text)), text);
  EXPECT_EQ(read_cart(text).wheels[1].radius, 1e-300);
  EXPECT_EQ(read_cart(text).loads, cart.loads);
  EXPECT_EQ(write_cart({}), "wheels: []\ncrew: []\nloads: []\n");
}

TEST(YamlList, NumbersOfAListAreWholeAndInTheirRange) {
  const std::string expected = "loads: expected a list, each of it a whole number from 1 to 33, found ";
  EXPECT_EQ(refusal("loads: 3\n"), "cart.yaml:1:8: " + expected + "3");
  EXPECT_EQ(refusal("loads: [1, 34]\n"), "cart.yaml:1:12: " + expected + "34");
  EXPECT_EQ(refusal("loads:\n- 1\n- x\n"), "cart.yaml:3:3: " + expected + "x");
}

TEST(YamlList, FindsThePlaceOfAnItem) {
  const YamlFile file = YamlFile::parse("wheels:\n- name: a\n- {name: b}\n", "cart.yaml");
  EXPECT_EQ(file.place("wheels[1].name"), "cart.yaml:3:10");
  EXPECT_EQ(file.place("wheels[1].radius"), "cart.yaml:3:3");
  EXPECT_EQ(file.place("wheels[7]"), "cart.yaml:2:1");
}

}  // namespace
}  // namespace stoa
