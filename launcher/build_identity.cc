#include "stoa/launcher/build_identity.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

/// The bytes of the note NT_GNU_BUILD_ID among the notes of a loaded object; empty where the linker wrote none.
std::string build_id(const dl_phdr_info& object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(object.dlpi_addr + segment.p_vaddr);
    const char* end = at + segment.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char* name = at + sizeof note;
      const char* value = name + (note.n_namesz + 3) / 4 * 4;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0)
        return {value, note.n_descsz};
      at = value + (note.n_descsz + 3) / 4 * 4;
    }
  }
  return "";
}

int collect(dl_phdr_info* object, std::size_t, void* lines) {
  const std::string_view path = object->dlpi_name;
  // The kernel's own object has no file and differs with the kernel.
  if (path.find("linux-vdso") != std::string_view::npos) return 0;
  const std::string name = std::filesystem::path(path).filename().string();
  static_cast<std::vector<std::string>*>(lines)->push_back(name + ' ' + build_id(*object) + '\n');
  return 0;
}

}  // namespace

std::string loaded_build() {
  std::vector<std::string> lines;
  ::dl_iterate_phdr(collect, &lines);
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return xxh3_128_hex(std::as_bytes(std::span(text)));
}

void require_one_build(parallel::Communicator& ranks) {
  const std::string own = loaded_build();
  std::uint64_t number = 0;
  std::memcpy(&number, own.data(), sizeof number);
  const auto mine = static_cast<std::int64_t>(number >> 1);
  std::array ends = {mine, -mine};
  ranks.all_reduce(std::span<std::int64_t>(ends), parallel::ReduceOp::kMax, "build");
  if (ends[0] != -ends[1])
    throw ConfigError(
        "the ranks run different builds of stoa-train or its libraries (rank {} has {}): all nodes must "
        "see the same files",
        ranks.rank(), own);
}

}  // namespace stoa::launcher
