/// The input is a file of JSON lines and a file of text. Reading must give a stoa::Error or documents, the same however
/// the file is cut into chunks; a refused JSON file must be refused with the same message.
#include "stoa/base/error.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/tests/fuzz/scratch_file.h"
#include "stoa/trainer/data/text_chunks.h"

namespace stoa {
namespace {

constexpr std::int64_t kMostDocumentBytes = 1 << 20;

struct Outcome {
  std::vector<std::string> documents;
  std::string refusal;
  bool operator==(const Outcome&) const = default;
};

Outcome read(const std::filesystem::path& path, std::int64_t chunk_bytes) {
  Outcome outcome;
  try {
    const trainer::TextInputs inputs{{path.string()}, "--", "text"};
    trainer::TextChunkReader reader(inputs, chunk_bytes, kMostDocumentBytes);
    trainer::ChunkDocuments documents(inputs);
    for (trainer::TextChunk chunk; reader.next(chunk);)
      for (const trainer::DocumentView& document : documents.find(chunk))
        outcome.documents.push_back(std::to_string(document.line) + ":" + std::string(document.text));
  } catch (const Error& failure) {
    outcome = {{}, failure.what()};
  }
  return outcome;
}

void check(const fuzz::ScratchFile& file, std::string_view bytes) {
  file.write(bytes);
  const Outcome whole = read(file.path(), 1 << 18);
  if (read(file.path(), 1) != whole || read(file.path(), 37) != whole) std::abort();
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string lines = "{\"text\":\"a \\u00e9 \\ud83d\\ude42 \xC3\xA9\",\"m\":[1,2.5e3,{\"a\":null}]}\r\n\n";
  std::string text = "one\ntwo\n--\r\n--\n\nthree\n";
  for (int i = 0; i < 30; ++i) {
    lines +=
        "{\"id\":" + std::to_string(i) + ",\"text\":\"line " + std::string(static_cast<std::size_t>(i), 'x') + "\"}\n";
    text += "-- \ndocument " + std::to_string(i) + "\n--\n";
  }
  return {lines, text, "", "\xEF\xBB\xBF{\"text\":\"\"}"};
}

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const stoa::fuzz::ScratchFile lines("a.jsonl");
  static const stoa::fuzz::ScratchFile text("a.txt");
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  stoa::check(lines, input);
  stoa::check(text, input);
  return 0;
}
