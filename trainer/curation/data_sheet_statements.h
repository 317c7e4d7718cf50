#pragma once
/// The forms of what a person says of a data set in the recipe of its curation (DataSetFacts): Croissant's validator
/// takes no others.
#include <optional>

#include "stoa/trainer/curation/curation_settings.h"

namespace stoa::trainer {

/// A version that is not MAJOR.MINOR.PATCH (semver.org) or a date that is not YYYY-MM-DD; empty ones are not said.
std::optional<Impossible> check_statements(const DataSetFacts& facts);

}  // namespace stoa::trainer
