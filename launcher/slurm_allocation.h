#pragma once
/// A job of Slurm's as an allocation: ranks under srun, the limit and the causes of ends as Slurm tells them, the next
/// job by requeue or successor.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/run_record.h"
#include "stoa/cluster/slurm.h"
#include "stoa/cluster/slurm_request.h"
#include "stoa/launcher/allocation.h"
#include "stoa/launcher/run_directory.h"
#include "stoa/launcher/supervisor_sentinel.h"

namespace stoa::launcher {

/// The job this process runs in, from the environment that Slurm gives a batch script.
struct SlurmJob {
  std::string id;
  std::string cluster;
  std::int64_t restart = 0;
  std::string node_list;  ///< "node[1-4]"
};
/// UsageError where this is no batch job.
SlurmJob job_from_environment();

class SlurmAllocation final : public Allocation {
 public:
  /// `batch`: what the run asks Slurm for, resolved; `spec`: RUN/spec.yaml, beside which the program lies. Asks Slurm
  /// for the job's end, once. Borrows the clock.
  SlurmAllocation(SlurmJob job, cluster::BatchJob batch, std::string spec, const Clock& clock);

  /// Brings stoa-train to each node's /tmp, where that is the way (sbcast). ResourceError with sbcast's words.
  void broadcast_program();
  /// And takes it away again.
  void remove_program();

  void stand_guard() override;
  std::string attempt_prefix() const override;
  void describe(cluster::AttemptStarted& started) const override;
  std::vector<std::string> nodes() override;
  int ranks_per_node() const override { return batch_.settings.tasks_per_node; }
  double memory_gib() const override { return batch_.settings.memory_gib; }
  ProcessSettings ranks(const RankLaunch& launch) override;
  std::string_view starter() const override { return "srun"; }
  std::optional<ProcessSettings> preflight(std::span<const std::string> nodes, Check check) override;
  void ask_ranks_to_save(Process& starter) override;
  void kill_ranks(Process& starter) override;
  void force_ranks(Process& starter) override;
  bool outlive_each_other() const override { return true; }
  std::optional<double> end_unix_s() override { return end_unix_s_; }
  OutsideNews news() override;
  bool stops_at_second_request() const override { return false; }
  cluster::JobSubmitted next_job(std::span<const std::string> excluded) override;
  void hand_over(const cluster::JobSubmitted& next, HandOver how) override;

 private:
  std::vector<std::string> srun_words(std::span<const std::string> nodes, int ranks) const;

  SlurmJob job_;
  cluster::BatchJob batch_;
  std::string program_;
  std::string spec_;
  const Clock& clock_;
  cluster::Slurm slurm_;
  std::string srun_;
  std::string scancel_;
  std::vector<std::string> all_nodes_;
  std::optional<double> end_unix_s_;
  std::unique_ptr<Sentinel> sentinel_;
};

/// UsageError where a job of this run waits or works, or has not ended yet; ResourceError where Slurm cannot tell. Runs
/// that came to a decision (finished, held, paused, cancelled) have none.
void refuse_live_job(const RunDirectory& run, const cluster::RunState& state);

/// Why an attempt that never reported back ended: what Slurm has in its accounts of that run of its job; kUnknown where
/// it has nothing (yet).
cluster::EndCause accounted_cause(const cluster::AttemptStarted& attempt, const cluster::Slurm& slurm);

/// The words of sbatch after its options: the batch script and its argument.
std::vector<std::string> batch_words(const cluster::BatchJob& job, const std::string& spec);

}  // namespace stoa::launcher
