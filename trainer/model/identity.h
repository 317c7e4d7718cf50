#pragma once
/// What a checkpoint remembers of how it was made, so that nothing goes on from it as if it had been made otherwise.
#include <string>

#include "stoa/base/json.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// Everything that shapes the function the model computes; dropout and initial_std do not.
Json model_identity(const ModelSettings& resolved_model);

/// CheckpointError naming the first key of `now` (nested ones by "a.b") that `saved` has otherwise or lacks.
void require_same_identity(const Json& saved, const Json& now, const std::string& place);

}  // namespace stoa::trainer
