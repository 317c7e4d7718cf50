#pragma once
/// Byte-level byte-pair encoding (Sennrich et al. 2016; the byte alphabet of GPT-2), with GPT-2's pre-tokenizer
/// pattern. On disk it is Hugging Face's tokenizer.json (model BPE, pre-tokenizer and decoder ByteLevel), which their
/// library opens.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::trainer {

struct Vocabulary;

/// Immutable; any thread may encode with an Encoder of its own.
class Tokenizer {
 public:
  /// DataError with the place for anything that is not a tokenizer.json of this kind.
  static Tokenizer load(const std::filesystem::path& path);
  static Tokenizer parse(std::string_view json, std::string_view place);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::string to_json() const;
  std::int64_t vocabulary_size() const;
  /// The id of "<|endoftext|>", which ends every document.
  std::int32_t end_of_text() const;

  /// Any bytes, valid UTF-8 or not. Special tokens are not recognised in the text.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The bytes of the tokens; an id outside the vocabulary is a DataError. A special token decodes to its text.
  std::string decode(std::span<const std::int32_t> tokens) const;
  /// xxh3-128 of to_json(): part of what a checkpoint remembers.
  std::string fingerprint() const;

 private:
  friend class Encoder;
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  friend Tokenizer trained_tokenizer(Vocabulary vocabulary);
};

/// An encoder with a cache of pre-tokens; one thread at a time. Borrows the tokenizer.
class Encoder {
 public:
  explicit Encoder(const Tokenizer& tokenizer);
  ~Encoder();
  void encode(std::string_view text, std::vector<std::int32_t>& tokens_appended);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Trains merges on the texts until the vocabulary (256 bytes + merges + "<|endoftext|>" as the last id) has
/// vocabulary_size entries. Deterministic: the most frequent pair first, ties by the smaller pair of ids.
/// progress(fraction) may be empty. DataError where the texts do not yield that many merges. REQUIRES: vocabulary_size
/// >= 257.
Tokenizer train_tokenizer(std::span<const std::string_view> texts, std::int64_t vocabulary_size,
                          const std::function<void(double)>& progress = {});

}  // namespace stoa::trainer
