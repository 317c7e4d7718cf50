/// A project of someone else: it knows Stoa's headers, libraries and targets only as they are installed.
#include <cstdio>

#include "stoa/base/error.h"
#include "stoa/parallel/mesh.h"

int main() {
  const stoa::parallel::MeshSize size{.data = 3, .pipeline = 2, .tensor = 5};
  for (int rank = 0; rank < size.ranks(); ++rank) {
    if (stoa::parallel::mesh_rank(size, stoa::parallel::mesh_coordinate(size, rank)) != rank) {
      std::fprintf(stderr, "rank %d is not where it says it is\n", rank);
      return 1;
    }
  }
  try {
    throw stoa::ConfigError("{} ranks are not {}", size.ranks(), 31);
  } catch (const stoa::Error& error) {
    std::printf("%s: exit code %d\n", error.what(), stoa::exit_code(error.kind()));
    return stoa::exit_code(error.kind()) == 3 ? 0 : 1;
  }
}
