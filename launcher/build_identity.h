#pragma once
/// Which build of a program runs: on a shared machine two nodes can hold two.
#include <string>

#include "stoa/parallel/communicator.h"

namespace stoa::launcher {

/// A digest of the linker's build identities of this program and of all libraries that are loaded, in the order of
/// their names. The same files give the same digest on every node.
std::string loaded_build();

/// Collective. ConfigError on every rank where they do not all run the same build.
void require_one_build(parallel::Communicator& ranks);

}  // namespace stoa::launcher
