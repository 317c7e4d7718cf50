#pragma once
/// Finds added tokens in text as Hugging Face's library does: leftmost and longest first those that are looked for
/// before the normalizer, then the others in what is left.
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stoa/trainer/data/tokenizer_vocabulary.h"

namespace stoa::trainer {

class AddedTokenSearch {
 public:
  /// Borrows the tokens.
  explicit AddedTokenSearch(const std::vector<AddedToken>& added);

  struct Piece {
    std::int32_t id;  ///< -1: text to be cut
    std::size_t begin;
    std::size_t end;
  };
  /// The text in pieces, in its order. A token that takes spaces may reach into the piece before or after it.
  std::vector<Piece> pieces(std::string_view text) const;

 private:
  /// The tokens as a tree of bytes.
  class Tree {
   public:
    void add(const AddedToken& token);
    /// The longest token that begins at `at`, or none.
    const AddedToken* longest(std::string_view text, std::size_t at) const;
    bool is_empty() const { return tokens_.size() == 1; }

   private:
    static std::uint64_t edge(std::size_t node, char byte) { return node << 8 | static_cast<unsigned char>(byte); }
    bool begins_[256] = {};
    std::vector<const AddedToken*> tokens_ = {nullptr};  ///< by node
    std::unordered_map<std::uint64_t, std::size_t> next_;
  };

  static void split(const Tree& tree, std::string_view text, std::size_t offset, std::vector<Piece>& pieces);

  Tree before_normalizer_;
  Tree after_normalizer_;
};

}  // namespace stoa::trainer
