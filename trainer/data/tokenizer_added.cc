#include "stoa/trainer/data/tokenizer_added.h"

#include <algorithm>

#include "stoa/trainer/data/tokenizer_classes.h"
#include "stoa/trainer/data/tokenizer_utf8.h"

namespace stoa::trainer {
namespace {

/// The character that ends where the text ends.
Utf8Character last_character(std::string_view text) {
  for (std::size_t bytes = 1; bytes <= std::min<std::size_t>(4, text.size()); ++bytes) {
    const Utf8Character last = utf8_character(text, text.size() - bytes);
    if (last.is_valid && last.bytes == bytes) return last;
  }
  return {0, 1, false};
}

bool is_of_a_word(const Utf8Character& c) { return c.is_valid && character_classes().is_of_a_word(c.code_point); }
bool is_space(const Utf8Character& c) {
  return c.is_valid && character_classes()(c.code_point) == CharacterClass::kSpace;
}

bool begins_with_word(std::string_view text) { return !text.empty() && is_of_a_word(utf8_character(text, 0)); }
bool ends_with_word(std::string_view text) { return !text.empty() && is_of_a_word(last_character(text)); }

std::size_t spaces_at_begin(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Character next = utf8_character(text, at);
    if (!is_space(next)) break;
    at += next.bytes;
  }
  return at;
}

std::size_t spaces_at_end(std::string_view text) {
  std::size_t left = text.size();
  while (left > 0) {
    const Utf8Character last = last_character(text.substr(0, left));
    if (!is_space(last)) break;
    left -= last.bytes;
  }
  return text.size() - left;
}

}  // namespace

void AddedTokenSearch::Tree::add(const AddedToken& token) {
  begins_[static_cast<unsigned char>(token.content[0])] = true;
  std::size_t node = 0;
  for (const char byte : token.content) {
    const auto [next, is_new] = next_.emplace(edge(node, byte), tokens_.size());
    if (is_new) tokens_.push_back(nullptr);
    node = next->second;
  }
  tokens_[node] = &token;
}

const AddedToken* AddedTokenSearch::Tree::longest(std::string_view text, std::size_t at) const {
  if (!begins_[static_cast<unsigned char>(text[at])]) return nullptr;
  const AddedToken* found = nullptr;
  std::size_t node = 0;
  for (; at < text.size(); ++at) {
    const auto next = next_.find(edge(node, text[at]));
    if (next == next_.end()) break;
    node = next->second;
    if (tokens_[node] != nullptr) found = tokens_[node];
  }
  return found;
}

AddedTokenSearch::AddedTokenSearch(const std::vector<AddedToken>& added) {
  for (const AddedToken& token : added) (token.normalized ? after_normalizer_ : before_normalizer_).add(token);
}

void AddedTokenSearch::split(const Tree& tree, std::string_view text, std::size_t offset, std::vector<Piece>& pieces) {
  std::size_t done = 0;
  for (std::size_t at = 0; !tree.is_empty() && at < text.size();) {
    const AddedToken* const token = tree.longest(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at += token->content.size();
    if (token->single_word && (ends_with_word(text.substr(0, begin)) || begins_with_word(text.substr(end)))) continue;
    if (token->lstrip) begin = std::max(begin - spaces_at_end(text.substr(0, begin)), done);
    if (token->rstrip) end += spaces_at_begin(text.substr(end));
    if (done < begin) pieces.push_back({-1, offset + done, offset + begin});
    // One whose text the spaces of the token before have taken is none.
    if (begin < end) pieces.push_back({token->id, offset + begin, offset + end});
    // Not the larger of both: as there, spaces that a token before took can be text again after this one.
    done = end;
  }
  if (done < text.size()) pieces.push_back({-1, offset + done, offset + text.size()});
}

std::vector<AddedTokenSearch::Piece> AddedTokenSearch::pieces(std::string_view text) const {
  std::vector<Piece> first;
  split(before_normalizer_, text, 0, first);
  if (after_normalizer_.is_empty()) return first;
  std::vector<Piece> all;
  for (const Piece& piece : first) {
    if (piece.id >= 0)
      all.push_back(piece);
    else
      split(after_normalizer_, text.substr(piece.begin, piece.end - piece.begin), piece.begin, all);
  }
  return all;
}

}  // namespace stoa::trainer
