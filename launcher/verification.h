#pragma once
/// `stoa verify`: the layouts of an experiment, made small, against one rank, as a table or as JSON.
#include <cstdio>
#include <string>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/base/log.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/text_or_json.h"
#include "stoa/trainer/verification/layouts.h"
#include "stoa/trainer/verification/verify_layouts.h"

namespace stoa::launcher {

struct VerifyLayoutsOptions {
  std::string file;  ///< named in what is printed
  trainer::LayoutChoice choice = trainer::LayoutChoice::kPairwise;
  int most_layouts = 0;  ///< the first of the chosen ones; 0: all of them
  TextOrJson format = TextOrJson::kText;
};

/// NumericError, behind the whole table, that names the layouts which do not give what one rank gives. Progress goes to
/// the log where the table does not show it.
void verify_experiment(const Experiment& experiment, const VerifyLayoutsOptions& options, std::FILE* out, Log& log);

/// Lines of the table of these layouts.
class VerificationTable {
 public:
  explicit VerificationTable(const std::vector<trainer::StepSettings>& layouts);
  std::string header() const;
  std::string line(const trainer::LayoutVerdict& verdict) const;

 private:
  std::size_t mesh_width_, schedule_width_;
};

Json verdict_json(const trainer::LayoutVerdict& verdict);
/// The message of the NumericError; empty where all layouts are as one rank.
std::string faults_text(const std::vector<trainer::LayoutVerdict>& verdicts);

}  // namespace stoa::launcher
