#pragma once
/// Runs layouts on thread ranks and says of each whether it gives what one rank gives.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/trainer/verification/comparison.h"

namespace stoa::trainer {

struct LayoutVerdict {
  StepSettings layout;
  Comparison comparison;             ///< empty where the layout did not run to its end
  std::optional<std::string> fault;  ///< a sentence: what differs, or what stopped it; nothing: as one rank
  double seconds = 0;
};

struct VerifyParts {
  const SampleStream& samples;
  const Clock& clock;
  cpu::Isa isa = cpu::detected_isa();
  std::function<void(const LayoutVerdict&)> told;  ///< of each layout as it ends; may be empty
};

/// One rank first, then each layout; one thread a rank. The layouts have one model, batch, precision and optimizer. An
/// Error of a layout is its fault and the others go on; an Error of the one rank is thrown
/// (require_gradients).
std::vector<LayoutVerdict> verify_layouts(const std::vector<StepSettings>& layouts, const VerifyParts& parts);

}  // namespace stoa::trainer
