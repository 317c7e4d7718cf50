#include "stoa/cluster/slurm_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "stoa/base/yaml_fields.h"

namespace stoa::cluster {
namespace {

enum class Said { kNo, kFirst, kSecond, kThird };

constexpr YamlChoice<Said> kPrograms[] = {
    {"default", Said::kNo}, {"shared", Said::kFirst}, {"copy", Said::kSecond}, {"broadcast", Said::kThird}};
constexpr YamlChoice<Said> kContinuations[] = {
    {"default", Said::kNo}, {"requeue", Said::kFirst}, {"exit_code", Said::kSecond}, {"successor", Said::kThird}};

/// A choice that may be left out.
template <typename Enum, std::size_t N>
void optional_choice(YamlFields& fields, const char* key, std::optional<Enum>& value,
                     const YamlChoice<Said> (&choices)[N]) {
  Said said = value ? static_cast<Said>(static_cast<int>(*value) + 1) : Said::kNo;
  fields.choice(key, said, choices);
  value = said == Said::kNo ? std::nullopt : std::optional<Enum>(static_cast<Enum>(static_cast<int>(said) - 1));
}

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

struct Pattern {
  const char* key;
  std::string SlurmSettings::*value;
  std::string_view signs;  ///< that it may have beside letters and digits
  std::string_view example;
};
constexpr Pattern kPatterns[] = {
    {"partition", &SlurmSettings::partition, "._-,", "batch"},
    {"account", &SlurmSettings::account, "._-", "project_a"},
    {"qos", &SlurmSettings::qos, "._-", "normal"},
    {"constraint", &SlurmSettings::constraint, "._-,&|*[]()", "a100&ib"},
    {"reservation", &SlurmSettings::reservation, "._-,", "course_2026"},
    {"dependency", &SlurmSettings::dependency, "_:,?+", "afterok:812"},
    {"begin", &SlurmSettings::begin, "+:.-/", "2026-12-01T20:00"},
    {"exclude", &SlurmSettings::exclude, "._-,[]", "node[3-4]"},
    {"licenses", &SlurmSettings::licenses, "._-,:@", "matlab:1"},
    {"mail_type", &SlurmSettings::mail_type, "_,", "END,FAIL"},
    {"mail_user", &SlurmSettings::mail_user, "._-+@,", "alice@example.org"},
    {"signal", &SlurmSettings::signal, "", "USR2"},
};

bool holds_only(std::string_view text, std::string_view signs) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return kLetters.find(c) != std::string_view::npos || signs.find(c) != std::string_view::npos;
  });
}

/// Whole numbers between the separators; nothing where one is none or too large.
std::optional<std::vector<int>> numbers_of(std::string_view text, char separator) {
  std::vector<int> numbers;
  for (;;) {
    const std::size_t end = std::min(text.find(separator), text.size());
    int number = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + end, number);
    if (error != std::errc() || at != text.data() + end || number < 0 || number > 1'000'000) return std::nullopt;
    numbers.push_back(number);
    if (end == text.size()) return numbers;
    text.remove_prefix(end + 1);
  }
}

template <typename T>
void take(T& own, const T& site) {
  if (own == T{}) own = site;
}

}  // namespace

void describe_slurm(YamlFields& fields, SlurmSettings& s) {
  constexpr WholeRange kCount{.least = 0, .most = 1'000'000};
  fields.field("nodes", s.nodes, kCount);
  fields.field("tasks_per_node", s.tasks_per_node, kCount);
  fields.field("cpus_per_task", s.cpus_per_task, kCount);
  fields.field("gpus_per_node", s.gpus_per_node, WholeRange{.least = 0, .most = 1000});
  fields.field("spare_nodes", s.spare_nodes, kCount);
  fields.field("memory_gib", s.memory_gib, kCount);
  fields.field("time_limit", s.time_limit, Presence::kOptional);
  fields.field("partition", s.partition, Presence::kOptional);
  fields.field("account", s.account, Presence::kOptional);
  fields.field("qos", s.qos, Presence::kOptional);
  fields.field("constraint", s.constraint, Presence::kOptional);
  fields.field("reservation", s.reservation, Presence::kOptional);
  fields.field("dependency", s.dependency, Presence::kOptional);
  fields.field("begin", s.begin, Presence::kOptional);
  fields.field("exclude", s.exclude, Presence::kOptional);
  fields.field("licenses", s.licenses, Presence::kOptional);
  fields.field("mail_type", s.mail_type, Presence::kOptional);
  fields.field("mail_user", s.mail_user, Presence::kOptional);
  fields.field("signal", s.signal, Presence::kOptional);
  fields.field("warning_s", s.warning_s, WholeRange{.least = 0, .most = 86400});
  fields.field("exclusive", s.exclusive);
  optional_choice(fields, "program", s.program, kPrograms);
  optional_choice(fields, "continue_by", s.continue_by, kContinuations);
  fields.field("modules", s.modules);
  fields.field("preflight", s.preflight);
  fields.field("most_failures", s.most_failures, WholeRange{.least = 0, .most = 1000});
}

SlurmSettings resolved(const SlurmSettings& own, const SlurmSettings& site) {
  SlurmSettings s = own;
  for (int SlurmSettings::*const each :
       {&SlurmSettings::tasks_per_node, &SlurmSettings::cpus_per_task, &SlurmSettings::gpus_per_node,
        &SlurmSettings::nodes, &SlurmSettings::spare_nodes, &SlurmSettings::memory_gib, &SlurmSettings::warning_s,
        &SlurmSettings::most_failures})
    take(s.*each, site.*each);
  for (const Pattern& pattern : kPatterns) take(s.*pattern.value, site.*pattern.value);
  take(s.time_limit, site.time_limit);
  take(s.exclusive, site.exclusive);
  take(s.program, site.program);
  take(s.continue_by, site.continue_by);
  take(s.modules, site.modules);
  take(s.preflight, site.preflight);

  take(s.program, {ProgramDelivery::kCopy});
  take(s.continue_by, {ContinueBy::kRequeue});
  take(s.preflight, {true});
  take(s.signal, std::string("USR2"));
  take(s.warning_s, 120);
  take(s.most_failures, 3);
  take(s.tasks_per_node, std::max(1, s.gpus_per_node));
  return s;
}

std::optional<SlurmComplaint> check_slurm(const SlurmSettings& s) {
  for (const Pattern& pattern : kPatterns) {
    const std::string& value = s.*pattern.value;
    if (value.size() > 256 || value.starts_with('-') || !holds_only(value, pattern.signs))
      return SlurmComplaint{pattern.key, fmt::format("{}: expected at most 256 letters, digits and '{}', as in {}",
                                                     pattern.key, pattern.signs, pattern.example)};
  }
  if (!s.time_limit.empty() && time_limit_s(s.time_limit).value_or(0) <= 0)
    return SlurmComplaint{"time_limit", fmt::format("time_limit: '{}' is no time: expected minutes, HH:MM:SS or "
                                                    "D-HH:MM:SS",
                                                    s.time_limit)};
  constexpr std::array<std::string_view, 5> kSignals{"", "USR1", "USR2", "TERM", "HUP"};
  if (std::find(kSignals.begin(), kSignals.end(), s.signal) == kSignals.end())
    return SlurmComplaint{"signal", fmt::format("signal: '{}' is none of USR1, USR2, TERM, HUP", s.signal)};
  for (const std::string& module : s.modules)
    if (module.empty() || module.size() > 256 || module.starts_with('-') || !holds_only(module, "._-+/"))
      return SlurmComplaint{"modules", fmt::format("modules: '{}' is no module's name", module)};
  return std::nullopt;
}

std::optional<double> time_limit_s(std::string_view text) {
  double days = 0;
  const std::size_t dash = text.find('-');
  if (dash != std::string_view::npos) {
    const auto whole = numbers_of(text.substr(0, dash), '-');
    if (!whole) return std::nullopt;
    days = whole->front();
    text.remove_prefix(dash + 1);
  }
  const auto parts = numbers_of(text, ':');
  if (!parts || parts->size() > 3) return std::nullopt;
  const auto part = [&](std::size_t i) { return i < parts->size() ? double((*parts)[i]) : 0.0; };
  if (dash != std::string_view::npos) return days * 86400 + part(0) * 3600 + part(1) * 60 + part(2);
  if (parts->size() == 1) return part(0) * 60;
  if (parts->size() == 2) return part(0) * 60 + part(1);
  return part(0) * 3600 + part(1) * 60 + part(2);
}

}  // namespace stoa::cluster
