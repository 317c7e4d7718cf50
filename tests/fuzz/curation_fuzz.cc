/// Three readers in one target: the input as a text, whose signature must not depend on the instruction set nor on
/// bytes beyond its end; and as a record.json, which must be refused by a stoa::Error or give a data sheet with all
/// questions and a Croissant description that is JSON again.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "stoa/base/error.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/trainer/curation/croissant.h"
#include "stoa/trainer/curation/data_sheet.h"
#include "stoa/trainer/curation/near_duplicates.h"

namespace stoa {
namespace {

trainer::CurationRecord small_record() {
  trainer::CurationRecord record;
  record.name = "small";
  record.created = "2026-03-05T14:07:09Z";
  record.stoa_version = "0.1.0";
  record.recipe = {{"license", "CC0"}};
  record.sources = {{"a.txt", 7, "aa", 3}};
  trainer::StepRecord step;
  step.name = "pii";
  step.settings = {{"email", "replace"}};
  step.documents_in = 3;
  step.replaced = {{"email", 2}};
  record.steps = {step};
  record.outputs = {{"b.jsonl.zst", 5, "bb", 3}, {"c.jsonl.gz", 5, "cc", 0}};
  record.documents = 3;
  record.languages = {{"en", 3}};
  return record;
}

void require(bool claim) {
  if (!claim) std::abort();
}

void check_text(const std::uint8_t* data, std::size_t size) {
  static const trainer::NearDuplicateSignatures plain({}, trainer::cpu::Isa::kPlain), best({});
  static trainer::NearDuplicateIndex index({});
  const auto exact = std::make_unique<char[]>(size + 1);  // a sanitizer sees a read beyond
  if (size > 0) std::memcpy(exact.get(), data, size);
  const trainer::NearDuplicateSignature signature = best.signature({exact.get(), size});
  require(signature == plain.signature(std::string(exact.get(), size) + " "));
  const std::uint64_t number = index.documents();
  const std::optional<std::uint64_t> earlier = index.add(signature);
  require(!earlier || *earlier < number);
  if (!signature.minima.empty()) require(index.add(signature) == (earlier ? earlier : std::optional(number)));
}

void check_record(std::string_view text) {
  const trainer::CurationRecord record = trainer::parse_record(text, "input");
  const std::string sheet = trainer::data_sheet_markdown(record);
  int questions = 0;
  for (std::size_t at = sheet.find("\n**"); at != std::string::npos; at = sheet.find("\n**", at + 1)) ++questions;
  require(questions == 57);
  const std::string croissant = trainer::croissant_text(record, {{"text", "The document."}});
  require(parse_json(croissant, "croissant").contains("distribution"));
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {trainer::record_text(small_record()), "The stoa was a public colonnade where anyone could come to learn.",
          "人之初，性本善。 \xF0\x9F\x98\x80 \xE2\x80\xA6 \xFF\xC2\xA0 see also", std::string(1031, 'a')};
}

}  // namespace stoa

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  stoa::check_text(data, size);
  try {
    stoa::check_record({reinterpret_cast<const char*>(data), size});
  } catch (const stoa::Error&) {
  }
  return 0;
}
