#include "stoa/launcher/rank_binding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "stoa/base/processors.h"

namespace stoa::launcher {
namespace {

int number_or(const std::string& text, int otherwise) {
  int number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && at != text.data() ? number : otherwise;
}

int first_number(const std::function<std::string(const char*)>& variable, std::initializer_list<const char*> names,
                 int otherwise) {
  for (const char* name : names)
    if (const int number = number_or(variable(name), -1); number >= 0) return number;
  return otherwise;
}

std::vector<std::string> listed(const std::string& text) {
  std::vector<std::string> words;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    words.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return words;
}

/// -1 where the system does not tell.
int numa_node(const std::filesystem::path& file) {
  std::string text;
  std::getline(std::ifstream(file), text);
  return number_or(text, -1);
}

int numa_node_of_processor(const std::filesystem::path& sys, int processor) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(sys / fmt::format("devices/system/cpu/cpu{}", processor), error))
    if (const std::string name = entry.path().filename().string(); name.starts_with("node"))
      return number_or(name.substr(4), -1);
  return -1;
}

std::vector<std::string> near_cards(const std::filesystem::path& sys, int node) {
  std::vector<std::string> all;
  std::vector<std::string> near;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(sys / "class/infiniband", error)) {
    all.push_back(entry.path().filename().string());
    if (node >= 0 && numa_node(entry.path() / "device/numa_node") == node) near.push_back(all.back());
  }
  std::sort(near.begin(), near.end());
  return near.size() < all.size() ? near : std::vector<std::string>{};
}

std::string ranges(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (end > i) text += fmt::format("-{}", numbers[end]);
    i = end + 1;
  }
  return text;
}

}  // namespace

RankBinding choose_binding(const std::function<std::string(const char*)>& variable, const std::vector<int>& allowed,
                           const std::filesystem::path& sys) {
  RankBinding binding;
  binding.local_rank = first_number(variable, {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"}, 0);
  // "2(x3)": so many on this node of a step.
  binding.local_ranks =
      std::max(1, first_number(variable, {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE"}, 1));
  binding.local_rank = std::min(binding.local_rank, binding.local_ranks - 1);
  binding.processors = share_of_processors(allowed, binding.local_ranks, binding.local_rank);
  const std::string visible = variable("CUDA_VISIBLE_DEVICES");
  if (const auto gpus = listed(visible.empty() ? variable("SLURM_STEP_GPUS") : visible); !gpus.empty())
    binding.gpu = gpus[std::size_t(binding.local_rank) % gpus.size()];
  binding.fabric_cards = near_cards(sys, numa_node_of_processor(sys, binding.processors.front()));
  return binding;
}

std::string to_text(const RankBinding& binding) {
  std::string text =
      fmt::format("local rank {} of {}, {} {}", binding.local_rank, binding.local_ranks,
                  binding.processors.size() == 1 ? "processor" : "processors", ranges(binding.processors));
  if (!binding.gpu.empty()) text += ", GPU " + binding.gpu;
  if (!binding.fabric_cards.empty()) text += fmt::format(", network {}", fmt::join(binding.fabric_cards, " "));
  return text;
}

void use_fabric_cards(const RankBinding& binding) {
  if (binding.fabric_cards.empty()) return;
  ::setenv("UCX_NET_DEVICES", fmt::format("{}:1", fmt::join(binding.fabric_cards, ":1,")).c_str(), 0);
}

}  // namespace stoa::launcher
