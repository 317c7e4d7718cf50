#pragma once
/// A mixture of three small data sets whose tokens tell where they come from.
#include <string>
#include <vector>

#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/training_data.h"

namespace stoa::trainer {

inline constexpr std::int64_t kMixtureContext = 9;
inline constexpr std::int32_t kSourceStep = 10'000;
inline constexpr std::int32_t kDocumentStep = 50;

/// Token t of document d of source s is s * kSourceStep + d * kDocumentStep + t.
class MixtureFolder {
 public:
  MixtureFolder() {
    write("wiki", 0, 65);
    write("code", 1, 33);
    write("math", 2, 17);
    settings_.sources = {source("wiki", 0.6, 0), source("code", 0.3, 0), source("math", 0.1, 0)};
    settings_.tokenizer = "none";
    settings_.held_out_fraction = 0.2;
    settings_.seed = 7;
  }

  DataSettings& settings() { return settings_; }
  std::filesystem::path prefix(const std::string& name) const { return folder_ / name.c_str(); }
  TrainingData open(std::int64_t steps, std::int64_t global_batch) const {
    return {settings_, kMixtureContext, {steps, global_batch}};
  }

  /// Documents of 3 to 32 tokens.
  void write(const std::string& name, std::int32_t source, std::int32_t documents) const {
    IndexedDatasetWriter writer(prefix(name), 65'000);
    for (std::int32_t d = 0; d < documents; ++d) {
      std::vector<std::int32_t> tokens;
      for (std::int32_t t = 0; t < 3 + 7 * d % 30; ++t) tokens.push_back(source * kSourceStep + d * kDocumentStep + t);
      writer.add_document(tokens);
    }
    writer.finish();
    write_checksums(prefix(name));
  }

 private:
  DataSource source(const std::string& name, double weight, double max_epochs) const {
    return {.name = name, .prefix = prefix(name).string(), .text = {}, .weight = weight, .max_epochs = max_epochs};
  }

  ScratchFolder folder_;
  DataSettings settings_;
};

struct ReadSample {
  std::vector<std::int32_t> inputs, targets, document_begins;
  bool operator==(const ReadSample&) const = default;
};

inline ReadSample read_sample(const SampleStream& stream, std::int64_t index) {
  ReadSample sample{std::vector<std::int32_t>(kMixtureContext), std::vector<std::int32_t>(kMixtureContext),
                    std::vector<std::int32_t>(kMixtureContext)};
  stream.read(index, {sample.inputs, sample.targets, sample.document_begins});
  return sample;
}

}  // namespace stoa::trainer
