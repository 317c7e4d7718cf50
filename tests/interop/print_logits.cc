/// print_logits EXPERIMENT TOKENS [KEY=VALUE...]: the logits that Stoa's generator gives after each of TOKENS
/// ("3,1,4"), from the checkpoint that `stoa sample` would take, as raw floats on standard output. For comparing with
/// other libraries.
#include <cstdio>
#include <exception>
#include <sstream>

#include "stoa/launcher/trained_model.h"
#include "stoa/trainer/model/generation.h"

int main(int count, char** words) {
  if (count < 3) return 2;
  try {
    stoa::Log log(stderr, "print_logits", stoa::LogLevel::kWarning);
    stoa::launcher::ModelChoice choice{.experiment_file = words[1], .threads = 1};
    for (int i = 3; i < count; ++i) choice.overrides.emplace_back(words[i]);
    stoa::launcher::TrainedModel trained(choice, log);
    const auto generator = stoa::trainer::make_generator(trained.queue(), trained.table(), trained.parameters(),
                                                         trained.experiment().training.precision);
    std::istringstream tokens(words[2]);
    for (std::string token; std::getline(tokens, token, ',');) {
      const std::int32_t id = std::stoi(token);
      const auto logits = generator->read(std::span(&id, 1));
      if (std::fwrite(logits.data(), sizeof(float), logits.size(), stdout) != logits.size()) return 6;
    }
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "print_logits: %s\n", failure.what());
    return 1;
  }
}
