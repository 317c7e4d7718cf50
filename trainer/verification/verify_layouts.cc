#include "stoa/trainer/verification/verify_layouts.h"

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

/// Of a collective: a thousand times what one takes when eight ranks share a processor.
constexpr double kDeadline_s = 60;

LayoutVerdict verify(const StepSettings& layout, const LayoutRun& one_rank, const VerifyParts& parts) {
  LayoutVerdict verdict{.layout = layout, .comparison = {}, .fault = {}};
  const double begin_s = parts.clock.monotonic_s();
  try {
    const LayoutRun run = run_on_threads(layout, parts.samples, parts.isa, kDeadline_s);
    verdict.comparison = compare(layout, run, one_rank);
    verdict.fault = verdict.comparison.fault;
  } catch (const Error& stopped) {
    verdict.fault = stopped.what();
  }
  verdict.seconds = parts.clock.monotonic_s() - begin_s;
  return verdict;
}

}  // namespace

std::vector<LayoutVerdict> verify_layouts(const std::vector<StepSettings>& layouts, const VerifyParts& parts) {
  std::vector<LayoutVerdict> verdicts;
  if (layouts.empty()) return verdicts;
  const LayoutRun one_rank = run_on_threads(one_rank_of(layouts.front()), parts.samples, parts.isa, kDeadline_s);
  require_gradients(one_rank);
  for (const StepSettings& layout : layouts) {
    verdicts.push_back(verify(layout, one_rank, parts));
    if (parts.told) parts.told(verdicts.back());
  }
  return verdicts;
}

}  // namespace stoa::trainer
