#include "stoa/cluster/slurm_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa::cluster {
namespace {

using Numbers = std::vector<int SlurmSettings::*>;
using Texts = std::vector<std::string SlurmSettings::*>;

const Numbers kNumbers = {&SlurmSettings::nodes,         &SlurmSettings::tasks_per_node, &SlurmSettings::cpus_per_task,
                          &SlurmSettings::gpus_per_node, &SlurmSettings::spare_nodes,    &SlurmSettings::memory_gib,
                          &SlurmSettings::warning_s,     &SlurmSettings::most_failures};
const Texts kTexts = {&SlurmSettings::time_limit, &SlurmSettings::partition,  &SlurmSettings::account,
                      &SlurmSettings::qos,        &SlurmSettings::constraint, &SlurmSettings::reservation,
                      &SlurmSettings::dependency, &SlurmSettings::begin,      &SlurmSettings::exclude,
                      &SlurmSettings::licenses,   &SlurmSettings::mail_type,  &SlurmSettings::mail_user,
                      &SlurmSettings::signal};
/// Those with a pattern.
const Texts kPatterned(kTexts.begin() + 1, kTexts.end());

/// Every field differs from its default, and from the same with another `salt`.
SlurmSettings full(int salt) {
  SlurmSettings s;
  for (std::size_t i = 0; i < kNumbers.size(); ++i) s.*kNumbers[i] = int(i) * 7 + 3 + salt;
  for (std::size_t i = 0; i < kTexts.size(); ++i) s.*kTexts[i] = "v" + std::to_string(i) + "x" + std::to_string(salt);
  s.exclusive = salt % 2 == 0;
  s.program = salt % 2 == 0 ? ProgramDelivery::kShared : ProgramDelivery::kBroadcast;
  s.continue_by = salt % 2 == 0 ? ContinueBy::kExitCode : ContinueBy::kSuccessor;
  s.modules = {"gcc/12." + std::to_string(salt), "openmpi"};
  s.preflight = salt % 2 == 0;
  return s;
}

std::string yaml_of(SlurmSettings s) {
  YamlWriter writer;
  describe_slurm(writer, s);
  return writer.text();
}

SlurmSettings read(const std::string& text) {
  const YamlFile file = YamlFile::parse(text, "a.yaml");
  YamlReader reader(file);
  SlurmSettings s;
  describe_slurm(reader, s);
  reader.finish();
  return s;
}

TEST(SlurmSettings, WhatTheExperimentSaysStandsAboveTheSite) {
  EXPECT_EQ(yaml_of(resolved(full(0), full(1))), yaml_of(full(0)));
  EXPECT_EQ(yaml_of(resolved(full(1), full(0))), yaml_of(full(1)));
}

TEST(SlurmSettings, WhatTheExperimentLeavesOutTheSiteSays) {
  EXPECT_EQ(yaml_of(resolved({}, full(0))), yaml_of(full(0)));
  EXPECT_EQ(yaml_of(resolved({}, full(1))), yaml_of(full(1)));
}

TEST(SlurmSettings, EachFieldIsTakenByItself) {
  for (const auto field : kNumbers) {
    SlurmSettings own;
    own.*field = 777;
    SlurmSettings expected = full(0);
    expected.*field = 777;
    EXPECT_EQ(yaml_of(resolved(own, full(0))), yaml_of(expected));
  }
  for (const auto field : kTexts) {
    SlurmSettings own;
    own.*field = "own";
    SlurmSettings expected = full(0);
    expected.*field = "own";
    EXPECT_EQ(yaml_of(resolved(own, full(0))), yaml_of(expected));
  }
}

TEST(SlurmSettings, ANoOfTheExperimentIsNotOverruledByAYesOfTheSite) {
  const SlurmSettings s = resolved({.exclusive = false, .preflight = false}, {.exclusive = true, .preflight = true});
  EXPECT_EQ(s.exclusive, false);
  EXPECT_EQ(s.preflight, false);
}

TEST(SlurmSettings, WhatNobodySaysIsStoas) {
  const SlurmSettings s = resolved({}, {});
  SlurmSettings expected;
  expected.tasks_per_node = 1;
  expected.signal = "USR2";
  expected.warning_s = 120;
  expected.program = ProgramDelivery::kCopy;
  expected.continue_by = ContinueBy::kRequeue;
  expected.preflight = true;
  expected.most_failures = 3;
  EXPECT_EQ(yaml_of(s), yaml_of(expected));
}

TEST(SlurmSettings, ARankForEachGpuUnlessSomeoneSaysOtherwise) {
  EXPECT_EQ(resolved({}, {.gpus_per_node = 7}).tasks_per_node, 7);
  EXPECT_EQ(resolved({.gpus_per_node = 5}, {.gpus_per_node = 7}).tasks_per_node, 5);
  EXPECT_EQ(resolved({.gpus_per_node = 5}, {.tasks_per_node = 3}).tasks_per_node, 3);
}

TEST(SlurmSettings, ValuesOfDailyUseAreGood) {
  EXPECT_FALSE(check_slurm({}));
  EXPECT_FALSE(check_slurm(resolved({}, {})));
  const SlurmSettings s{.time_limit = "2-12:00:00",
                        .partition = "batch,gpu-long",
                        .account = "project_a.b",
                        .qos = "normal",
                        .constraint = "[a100*2&ib|(v100,x)]",
                        .reservation = "course_2026",
                        .dependency = "afterok:812:813,singleton?afterany:9+5",
                        .begin = "2026-12-01T20:00:30",
                        .exclude = "node[3-4,7],login1.x",
                        .licenses = "matlab@db:1,ansys:7",
                        .mail_type = "END,FAIL,TIME_LIMIT_80",
                        .mail_user = "alice+runs@example.org",
                        .signal = "TERM",
                        .modules = {"gcc/12.2.0", "openmpi-4.1+cuda"}};
  const auto complaint = check_slurm(s);
  EXPECT_FALSE(complaint) << complaint->message;
  EXPECT_FALSE(check_slurm({.begin = "now+1hour"}));
}

TEST(SlurmSettings, AValueThatAShellOrAScriptCouldTakeForMoreIsRefusedUnderItsKey) {
  const std::vector<std::string> keys = {"partition", "account", "qos",      "constraint", "reservation", "dependency",
                                         "begin",     "exclude", "licenses", "mail_type",  "mail_user",   "signal"};
  const std::vector<std::string> nasty = {"a\n#SBATCH --uid=0",
                                          "a\nreboot",
                                          "a\r",
                                          "-a",
                                          "--wrap=reboot",
                                          "two words",
                                          "tab\tbed",
                                          "a\"b",
                                          "a'b",
                                          "$(reboot)",
                                          "`reboot`",
                                          "a;reboot",
                                          "a\\b",
                                          "#SBATCH",
                                          "a=b",
                                          "a<b",
                                          "~",
                                          "{a}",
                                          "über",
                                          std::string("a\0b", 3),
                                          std::string(257, 'a')};
  ASSERT_EQ(keys.size(), kPatterned.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (const std::string& value : nasty) {
      SlurmSettings s;
      s.*kPatterned[i] = value;
      const auto complaint = check_slurm(s);
      ASSERT_TRUE(complaint) << keys[i] << " takes " << value;
      EXPECT_EQ(complaint->key, keys[i]);
      EXPECT_THAT(complaint->message, testing::StartsWith(keys[i] + ": "));
    }
  for (const std::string& value : nasty) {
    EXPECT_EQ(check_slurm({.time_limit = value})->key, "time_limit") << value;
    EXPECT_EQ(check_slurm({.modules = {"gcc", value}})->key, "modules") << value;
  }
  EXPECT_EQ(check_slurm({.modules = {""}})->key, "modules");
}

TEST(SlurmSettings, OnlySignalsThatTheSupervisorHearsAreTaken) {
  for (const char* name : {"USR1", "USR2", "TERM", "HUP"}) EXPECT_FALSE(check_slurm({.signal = name})) << name;
  for (const char* name : {"KILL", "SIGUSR2", "usr2", "12", "INT"})
    EXPECT_EQ(check_slurm({.signal = name})->key, "signal") << name;
}

TEST(SlurmSettings, ALimitOfNoTimeIsRefused) {
  for (const char* text : {"0", "00:00:00", "0-0", "UNLIMITED", "soon"})
    EXPECT_EQ(check_slurm({.time_limit = text})->key, "time_limit") << text;
}

TEST(SlurmSettings, ATimeLimitIsReadAsSbatchReadsIt) {
  const std::vector<std::pair<const char*, double>> table = {
      {"30", 1800},           {"0", 0},         {"1:30", 90},     {"90:00", 5400},
      {"08:00:00", 28800},    {"0:0:7", 7},     {"2-12", 216000}, {"2-12:30", 217800},
      {"2-12:30:07", 217807}, {"0-0:0:33", 33}, {"007", 420},     {"1000000", 6e7}};
  for (const auto& [text, seconds] : table) EXPECT_EQ(time_limit_s(text), seconds) << text;
  for (const char* none : {"",
                           "-",
                           "-1",
                           "1-",
                           "1-2-3",
                           ":",
                           "1:",
                           ":1",
                           "1:2:3:4",
                           "1-2:3:4:5",
                           "+5",
                           "1.5",
                           "1h",
                           " 1",
                           "1 ",
                           "0x10",
                           "1:-2",
                           "1000001",
                           "99999999999999999999",
                           "UNLIMITED",
                           "INFINITE"})
    EXPECT_EQ(time_limit_s(none), std::nullopt) << none;
}

TEST(SlurmSettings, ComeBackFromTheirYaml) {
  for (const SlurmSettings& s : {SlurmSettings{}, full(0), full(1), resolved({}, {})}) {
    const SlurmSettings again = read(yaml_of(s));
    EXPECT_EQ(yaml_of(again), yaml_of(s));
    for (const auto field : kNumbers) EXPECT_EQ(again.*field, s.*field);
    for (const auto field : kTexts) EXPECT_EQ(again.*field, s.*field);
    EXPECT_EQ(again.exclusive, s.exclusive);
    EXPECT_EQ(again.program, s.program);
    EXPECT_EQ(again.continue_by, s.continue_by);
    EXPECT_EQ(again.modules, s.modules);
    EXPECT_EQ(again.preflight, s.preflight);
  }
}

TEST(SlurmSettings, AKeyThatIsMisspeltIsRefusedWithTheNearest) {
  try {
    read("time_limt: 30\n");
    FAIL() << "taken";
  } catch (const ConfigError& failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr("time_limit"));
  }
  EXPECT_THROW(read("continue_by: prayer\n"), ConfigError);
  EXPECT_THROW(read("nodes: -1\n"), ConfigError);
}

}  // namespace
}  // namespace stoa::cluster
