#pragma once
/// What a checkpoint says about the data it was trained on, and what may not change before it is trained on.
#include <string>

#include "stoa/base/json.h"
#include "stoa/trainer/data/training_data.h"

namespace stoa::trainer {

/// Everything that decides which samples were drawn and which will be: of each source documents, tokens, fingerprint
/// of its bytes, weight and limit; the order of the sources; the stages; the tokenizer, the held-out part, the seed and
/// what document boundaries do. Paths and texts are left out: data may move.
Json data_identity(const TrainingData& data, const DataSettings& settings, const std::string& tokenizer_fingerprint);

/// CheckpointError naming the first difference with both values. A checkpoint that knows nothing of a key (an older
/// Stoa made it) passes where that key has the value that it then had; fingerprints were not recorded then.
void require_same_data(const Json& saved, const Json& now, const std::string& place);

}  // namespace stoa::trainer
