#include "stoa/launcher/submission.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/base/process.h"
#include "stoa/base/units.h"
#include "stoa/cluster/run_registry.h"
#include "stoa/cluster/slurm.h"
#include "stoa/launcher/local_allocation.h"
#include "stoa/launcher/slurm_allocation.h"
#include "stoa/trainer/layout_check.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBatchScript = R"(#!/bin/bash
# The batch script of every run of Stoa:   sbatch OPTIONS stoa-batch.sh RUN/spec.yaml
# It starts the supervisor, with the program and the modules that stand in the run's directory.
run=$(dirname -- "$1")
if [ -s "$run/modules" ]; then
  for start in "${LMOD_PKG:-/usr/share/lmod/lmod}/init/bash" "${MODULESHOME:-/usr/share/modules}/init/bash"; do
    if [ -r "$start" ]; then
      . "$start"
      break
    fi
  done
  while IFS= read -r module; do
    module load "$module" || { echo "stoa-batch.sh: module $module cannot be loaded" >&2; exit 9; }
  done <"$run/modules"
fi
exec "$run/program/stoa" supervise "$1"
)";

/// A copy or a link of this program's folder, under the name that the batch script knows.
void deliver_program(const RunDirectory& run, cluster::ProgramDelivery delivery) {
  const fs::path program = run.path / "program";
  const fs::path own = own_program().parent_path();
  const fs::path beside = run.path / "program.partial";
  fs::remove_all(beside);
  if (delivery == cluster::ProgramDelivery::kShared) {
    fs::create_symlink(own, beside);
  } else {
    fs::create_directory(beside);
    fs::copy_file(own_program(), beside / "stoa");
    fs::copy_file(training_program(), beside / "stoa-train");
  }
  // A folder cannot be renamed over another: the old one goes first. No job of this run is alive.
  if (fs::is_symlink(program))
    fs::remove(program);
  else
    fs::remove_all(program);
  rename_durably(beside, program);
}

void write_batch_files(const PreparedRun& run, const cluster::BatchJob& job) {
  deliver_program(run.directory, *job.settings.program);
  std::string modules;
  for (const std::string& module : job.settings.modules) modules += module + "\n";
  write_file_durably(run.directory.path / "modules", modules);
  const fs::path script = run.directory.path / "stoa-batch.sh";
  write_file_durably(script, kBatchScript);
  fs::permissions(script, fs::perms::owner_exec | fs::perms::group_exec, fs::perm_options::add);
}

/// Refuses a second job. An attempt that died with its supervisor is closed: the next one could only wonder about it.
void make_way(const PreparedRun& run, cluster::RunRecord& record) {
  refuse_live_job(run.directory, record.state());
  if (const cluster::Attempt* open = record.state().running())
    close_open_attempt(
        run, record,
        open->started.job.empty() ? cluster::EndCause::kUnknown : accounted_cause(open->started, cluster::Slurm()));
}

std::string request_text(const PreparedRun& run, const cluster::BatchJob& job) {
  const cluster::SlurmSettings& s = job.settings;
  const auto nodes = cluster::nodes_for(job.ranks, s);
  std::string text = fmt::format("{}: {} {} x {} {} on {}", run.experiment.name, nodes, nodes == 1 ? "node" : "nodes",
                                 s.tasks_per_node, s.tasks_per_node == 1 ? "rank" : "ranks", run.machine.name);
  if (s.gpus_per_node > 0) text += fmt::format(", {} GPUs a node", s.gpus_per_node);
  if (s.cpus_per_task > 0) text += fmt::format(", {} processors a rank", s.cpus_per_task);
  if (s.memory_gib > 0) text += fmt::format(", {} GiB a node", s.memory_gib);
  if (s.spare_nodes > 0) text += fmt::format(", {} spare", s.spare_nodes);
  if (!s.time_limit.empty())
    text += fmt::format(", {} a job", format_duration(cluster::time_limit_s(s.time_limit).value_or(0)));
  for (const auto& [word, value] : {std::pair{"partition", s.partition}, {"account", s.account}, {"QOS", s.qos}})
    if (!value.empty()) text += fmt::format(", {} {}", word, value);
  return text;
}

int submit_prepared(const PreparedRun& run, cluster::RunRecord& record, std::FILE* out, std::FILE* progress,
                    const Clock& clock) {
  const cluster::BatchJob job = batch_job(run);
  const cluster::Slurm slurm;
  fmt::print(progress, "{}\n", request_text(run, job));
  const std::string spec = fs::absolute(run.directory.spec()).string();
  const auto words = batch_words(job, spec);
  const auto submitted = slurm.submit(words);
  record.append(cluster::JobSubmitted{
      .time = clock.unix_s(), .job = submitted.job, .cluster = submitted.cluster, .user = user_name()});
  cluster::RunRegistry().add(fs::absolute(run.directory.path));
  fmt::print(out, "{}\n", submitted.job);
  fmt::print(progress, "job {} was submitted; stoa status {}, stoa logs -f {}\n", submitted.job,
             run.directory.path.string(), run.directory.path.string());
  return kExitFinished;
}

}  // namespace

std::string_view batch_script() { return kBatchScript; }

cluster::BatchJob batch_job(const PreparedRun& run) {
  const Experiment& e = run.experiment;
  cluster::BatchJob job{.settings = resolved(e.cluster.slurm, run.machine.slurm),
                        .name = e.name,
                        .log = cluster::log_pattern(fs::absolute(run.directory.path).string()),
                        .folder = fs::current_path().string(),
                        .ranks = e.parallel.mesh.ranks()};
  cluster::SlurmSettings& s = job.settings;
  s.tasks_per_node = static_cast<int>(std::min<std::int64_t>(s.tasks_per_node, job.ranks));
  const std::string place = run.directory.spec().string();
  if (job.ranks % s.tasks_per_node != 0)
    throw ConfigError("{}: cluster.tasks_per_node {} does not divide the {} ranks of {}", place, s.tasks_per_node,
                      job.ranks, trainer::mesh_text(e.parallel.mesh));
  if (s.nodes > 0 && std::int64_t{s.nodes} * s.tasks_per_node != job.ranks)
    throw ConfigError("{}: cluster.nodes {} x cluster.tasks_per_node {} = {}, but {} is {} ranks", place, s.nodes,
                      s.tasks_per_node, s.nodes * s.tasks_per_node, trainer::mesh_text(e.parallel.mesh), job.ranks);
  if (s.gpus_per_node > run.machine.node.accelerators && run.machine.node.accelerators > 0)
    throw ConfigError("{}: cluster.gpus_per_node {}, but a node of {} has {}", place, s.gpus_per_node, run.machine.name,
                      run.machine.node.accelerators);
  const auto limit = cluster::time_limit_s(s.time_limit);
  if (limit && *limit <= s.warning_s)
    throw ConfigError(
        "{}: cluster.time_limit {} is {:g} s, not longer than cluster.warning_s {}: the run would stop "
        "before it begins",
        place, s.time_limit, *limit, s.warning_s);
  return job;
}

int submit(const SubmitRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  Log log(progress, "stoa");
  PreparedRun run = read_run(request.experiment_file, request.overrides);
  const cluster::BatchJob job = batch_job(run);
  begin_directory(run);
  cluster::RunRecord record(run.directory.events());
  if (is_finished(run, record.state())) {
    fmt::print(out, "{}: finished at step {} already; give it more training.steps to go on\n",
               run.directory.path.string(), run.experiment.training.steps);
    return kExitFinished;
  }
  if (request.form == SubmitRequest::Form::kSubmit) make_way(run, record);
  complete_directory(run, record, clock, log);
  write_batch_files(run, job);
  const std::string spec = fs::absolute(run.directory.spec()).string();
  if (request.form == SubmitRequest::Form::kDryRun) {
    std::vector<std::string> words = batch_words(job, spec);
    words.insert(words.begin(), "sbatch");
    fmt::print(progress, "{}\n", request_text(run, job));
    if (cluster::Slurm::is_here())
      fmt::print(progress, "{}\n", cluster::Slurm().estimate_start(std::span(words).subspan(1)));
    fmt::print(out, "{}\n", cluster::shell_quoted(words));
    return kExitFinished;
  }
  if (request.form == SubmitRequest::Form::kRender) {
    const std::string words[] = {(fs::absolute(run.directory.path) / "stoa-batch.sh").string(), spec};
    fmt::print(out, "#!/bin/bash\n{}exec {}\n", cluster::sbatch_lines(cluster::sbatch_options(job)),
               cluster::shell_quoted(words));
    return kExitFinished;
  }
  return submit_prepared(run, record, out, progress, clock);
}

int submit_again(const std::filesystem::path& run_directory, std::FILE* out, std::FILE* progress, const Clock& clock) {
  const PreparedRun run = read_begun_run(run_directory);
  cluster::RunRecord record(run.directory.events());
  if (is_finished(run, record.state())) {
    fmt::print(out, "{}: finished at step {} already\n", run_directory.string(), run.experiment.training.steps);
    return kExitFinished;
  }
  make_way(run, record);
  std::filesystem::remove(run.directory.switch_file());
  return submit_prepared(run, record, out, progress, clock);
}

}  // namespace stoa::launcher
