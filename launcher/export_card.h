#pragma once
/// README.md of an exported model: a model card with what is known and HUMAN REQUIRED where only people can tell.
#include <string>

#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

struct CardFacts {
  const Experiment& experiment;
  const checkpoint::CheckpointReader& checkpoint;
  std::string digest;        ///< of its manifest
  std::string architecture;  ///< "LlamaForCausalLM"
  std::string dtype;
};

/// Markdown with the YAML front matter that the Hugging Face hub reads. Losses come from the run's metrics, price and
/// energy from its report, where the checkpoint is of this run; a file there that cannot be read is left out.
std::string model_card(const CardFacts& facts);

}  // namespace stoa::launcher
