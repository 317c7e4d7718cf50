#include "stoa/cluster/run_registry.h"

#include <algorithm>
#include <cstdlib>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::cluster {
namespace {

std::filesystem::path state_folder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::filesystem::path(state) / "stoa";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr && *home == '/' ? home : "/nonexistent") / ".local/state/stoa";
}

}  // namespace

RunRegistry::RunRegistry() : folder_(state_folder()) {}

void RunRegistry::add(const std::filesystem::path& run) const {
  try {
    const auto known = runs();
    if (std::find(known.begin(), known.end(), run) != known.end()) return;
    std::filesystem::create_directories(folder_);
    // A path may hold a newline: each is a line of JSON.
    AppendFile(folder_ / "runs").append(Json(run.string()).dump(-1, ' ', true, Json::error_handler_t::replace));
  } catch (const StorageError&) {
  } catch (const std::filesystem::filesystem_error&) {
  }
}

std::vector<std::filesystem::path> RunRegistry::runs() const {
  const std::filesystem::path file = folder_ / "runs";
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return {};
  const std::string text = read_text_file(file);
  std::vector<std::filesystem::path> found;
  std::size_t at = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
    try {
      const Json line = parse_json(std::string_view(text).substr(at, end - at), file.string());
      if (line.is_string()) found.emplace_back(line.get<std::string>());
    } catch (const DataError&) {  // a line that someone spoilt takes nothing from the others
    }
    at = end + 1;
  }
  return found;
}

}  // namespace stoa::cluster
