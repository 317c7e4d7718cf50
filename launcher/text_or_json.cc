#include "stoa/launcher/text_or_json.h"

#include <fmt/format.h>

namespace stoa::launcher {

void print_json(std::FILE* out, const Json& json) {
  fmt::print(out, "{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace stoa::launcher
