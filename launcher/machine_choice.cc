#include "stoa/launcher/machine_choice.h"

#include "stoa/base/process.h"
#include "stoa/cluster/machine_file.h"

namespace stoa::launcher {

std::filesystem::path machine_file(const Experiment& experiment, const std::filesystem::path& experiment_file) {
  const std::filesystem::path folders[] = {
      experiment_file.parent_path() / "machines",
      "configs/machines",
      own_program().parent_path().parent_path() / "share/stoa/configs/machines",
  };
  return cluster::find_machine(experiment.cluster.machine, folders, experiment_file.string() + ": cluster.machine");
}

}  // namespace stoa::launcher
