#pragma once
/// Random documents of a known resemblance, and resemblance by the definition: sets of strings.
#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace stoa::trainer {

using Words = std::vector<std::string>;

inline Words random_words(std::mt19937_64& random, std::size_t count) {
  Words words;
  for (std::size_t i = 0; i < count; ++i) words.push_back("w" + std::to_string(random() % 50021));
  return words;
}

inline std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += word + " ";
  return text;
}

/// The shingles of a text whose words stand between single spaces, as strings.
inline std::set<std::string> shingles_of(const std::string& text, std::size_t shingle_words) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  std::set<std::string> shingles;
  for (std::size_t at = 0; at + shingle_words <= words.size(); ++at)
    shingles.insert(joined(Words(words.begin() + static_cast<std::ptrdiff_t>(at),
                                 words.begin() + static_cast<std::ptrdiff_t>(at + shingle_words))));
  return shingles;
}

inline double jaccard(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::size_t common = 0;
  for (const std::string& shingle : a) common += b.count(shingle);
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

/// A copy with some words replaced, each place with this probability.
inline Words edited(std::mt19937_64& random, Words words, double probability) {
  std::bernoulli_distribution strike(probability);
  for (std::string& word : words)
    if (strike(random)) word = "e" + std::to_string(random() % 50021);
  return words;
}

}  // namespace stoa::trainer
