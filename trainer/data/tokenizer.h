#pragma once
/// Byte-level byte-pair encoding (Sennrich et al. 2016; the byte alphabet of GPT-2), with GPT-2's or Llama 3's
/// pre-tokenizer pattern. On disk it is Hugging Face's tokenizer.json (model BPE, decoder ByteLevel), and ids are those
/// of their library.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::trainer {

struct Vocabulary;
enum class PreTokenizer : std::uint8_t;

/// What happens where the text of an added token (special or not) stands in a text.
enum class AddedTokens {
  kAsText,      ///< It is text like any other: nobody can write a special token into training data.
  kRecognised,  ///< It is that token, as in Hugging Face's library.
};

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
  PreTokenizer pre_tokenizer() const;
  /// The id that ends every document: of the added token "<|endoftext|>" or else "<|end_of_text|>". Each file read has
  /// one.
  std::int32_t end_of_text() const;
  /// What the file's post-processor puts before a text, or else "<|begin_of_text|>", if there is one. GPT-2 style has
  /// none: the end of the document before begins the next. encode() does not put it there.
  std::optional<std::int32_t> begin_of_text() const;
  struct SpecialToken {
    std::int32_t id;
    std::string_view text;
  };
  /// By ascending id.
  std::vector<SpecialToken> special_tokens() const;

  /// Any bytes, valid UTF-8 or not.
  std::vector<std::int32_t> encode(std::string_view text, AddedTokens added = AddedTokens::kAsText) const;
  /// The bytes of the tokens; an id outside the vocabulary is a DataError. An added token decodes to its text.
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
  /// For little text a little cache, which takes no time to make.
  explicit Encoder(const Tokenizer& tokenizer, std::size_t text_bytes = std::numeric_limits<std::size_t>::max());
  ~Encoder();
  void encode(std::string_view text, std::vector<std::int32_t>& tokens_appended,
              AddedTokens added = AddedTokens::kAsText);

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
