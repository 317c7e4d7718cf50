#pragma once
/// A data set's bytes in one word, for the checkpoint manifest: a run that resumes must find the same.
#include <filesystem>
#include <string>

namespace stoa::trainer {

/// xxh3-128 over sizes and xxh3-128 digests of the blocks of PREFIX.bin and PREFIX.idx. The digests come from
/// PREFIX.checksums.json, which `stoa data prepare` writes; a sidecar whose sizes are not the files' is a DataError.
/// Without one they are computed: of a file up to 64 MiB from all of it, of a larger one from 1024 pieces of 16 KiB
/// spread evenly (the word then begins with "sampled-", because a change between the pieces goes unseen).
std::string dataset_fingerprint(const std::filesystem::path& prefix);

}  // namespace stoa::trainer
