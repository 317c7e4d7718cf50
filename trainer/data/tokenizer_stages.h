#pragma once
/// The stages around the model in a tokenizer.json: what cuts the text, what is put around the tokens, what makes bytes
/// of them again. Whatever would make ids other than ours is refused.
#include <string>
#include <string_view>

#include "stoa/base/json.h"
#include "stoa/trainer/data/tokenizer_vocabulary.h"

namespace stoa::trainer {

/// Sets pre_tokenizer, stages and begin_of_text of the vocabulary, whose added tokens are there already. DataError that
/// names the stage.
void read_stages(const Json& root, std::string_view place, Vocabulary& vocabulary);

/// The stages that are written: those of the file it was read from, or what Stoa writes for the kind.
Stages written_stages(const Vocabulary& vocabulary);

/// DataError unless `key` of `object` is `wanted`, or absent where `when_absent` means the same.
void require_json(const Json& object, const char* key, const Json& wanted, const Json& when_absent,
                  std::string_view place);

}  // namespace stoa::trainer
