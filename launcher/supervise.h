#pragma once
/// `stoa supervise`: what a batch job runs. The supervisor over the nodes of the job, and the next job of the chain.
#include <cstdio>
#include <filesystem>

#include "stoa/base/clock.h"

namespace stoa::launcher {

/// Returns the job's exit code: 0 finished, paused, cancelled or held in good order; 75 more work, another job follows;
/// an error's own code where the run failed and is held. Call from the main thread of a batch script.
int supervise_job(const std::filesystem::path& spec, std::FILE* out, const Clock& clock);

}  // namespace stoa::launcher
