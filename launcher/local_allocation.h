#pragma once
/// This machine as an allocation: ranks under mpirun, and a time limit where one is rehearsed.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stoa/launcher/allocation.h"

namespace stoa::launcher {

/// mpirun on this machine. ResourceError where a program is missing, naming the package that has it.
struct RankCommand {
  std::filesystem::path spec;
  std::string attempt;
  int ranks = 1;
  std::vector<std::string> overrides;
};
ProcessSettings rank_command(const RankCommand& command);

/// stoa-train beside this program, or in PATH.
std::string training_program();

class LocalAllocation final : public Allocation {
 public:
  using Ranks = std::function<ProcessSettings(const RankCommand&)>;
  /// `end_unix_s`: when this machine is to be taken back; `rehearsed`: what a signal means. Both for rehearsals.
  LocalAllocation(Ranks ranks, std::optional<double> end_unix_s,
                  cluster::EndCause rehearsed = cluster::EndCause::kUnknown)
      : ranks_(std::move(ranks)), end_unix_s_(end_unix_s), rehearsed_(rehearsed) {}

  void stand_guard() override {}
  std::string attempt_prefix() const override { return ""; }
  void describe(cluster::AttemptStarted& started) const override { started.nodes.clear(); }
  std::vector<std::string> nodes() override { return {"localhost"}; }
  int ranks_per_node() const override { return 1 << 20; }
  double memory_gib() const override { return 0; }
  ProcessSettings ranks(const RankLaunch& launch) override;
  std::string_view starter() const override { return "mpirun"; }
  std::optional<ProcessSettings> preflight(std::span<const std::string>, Check) override { return std::nullopt; }
  void ask_ranks_to_save(Process& starter) override;
  void kill_ranks(Process& starter) override;
  void force_ranks(Process& starter) override;
  bool outlive_each_other() const override { return false; }
  std::optional<double> end_unix_s() override { return end_unix_s_; }
  OutsideNews news() override { return {.cause = rehearsed_}; }
  bool stops_at_second_request() const override { return true; }
  cluster::JobSubmitted next_job(std::span<const std::string> excluded) override;
  void hand_over(const cluster::JobSubmitted& next, HandOver how) override;

 private:
  Ranks ranks_;
  std::optional<double> end_unix_s_;
  cluster::EndCause rehearsed_;
};

}  // namespace stoa::launcher
