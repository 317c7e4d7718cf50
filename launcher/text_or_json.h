#pragma once
/// The two forms in which commands answer.
#include <cstdio>

#include "stoa/base/json.h"

namespace stoa::launcher {

enum class TextOrJson { kText, kJson };

/// In lines, with what is not UTF-8 replaced.
void print_json(std::FILE* out, const Json& json);

}  // namespace stoa::launcher
