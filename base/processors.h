#pragma once
/// The processors this process may use, and their division among the ranks of a node that may use the same ones.
#include <vector>

namespace stoa {

/// Numbers of the processors that the system allows the calling thread (cpusets, taskset, Slurm), ascending.
std::vector<int> allowed_processors();

/// `asked`, or as many as there are allowed processors where that is 0.
int threads_or_all(int asked);

/// The part of sharer `index` of `sharers`: consecutive processors, sizes that differ by one at most, the larger parts
/// first. More sharers than processors take turns: one processor each. The sharers are the ranks of a node with the
/// same allowed processors; a rank to which a launcher gave processors of its own is its only sharer. REQUIRES: allowed
/// is not empty, 0 <= index < sharers.
std::vector<int> share_of_processors(const std::vector<int>& allowed, int sharers, int index);

/// Keeps the calling thread, and threads it starts later, on these processors. ResourceError when the system refuses.
void stay_on_processors(const std::vector<int>& processors);

}  // namespace stoa
