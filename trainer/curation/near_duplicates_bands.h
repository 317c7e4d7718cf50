#pragma once
/// How minima are cut into bands, and what that finds. Two documents of Jaccard similarity s agree in a minimum with
/// probability s, in all of a band's `rows` with s^rows, and in at least one of `bands` bands with
///   1 - (1 - s^rows)^bands                    (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4.2),
/// an S curve whose steepest place is near (1/bands)^(1/rows).
#include <cstdint>

namespace stoa::trainer {

struct NearDuplicateSettings;

struct NearDuplicateBands {
  int bands = 1;
  int rows = 1;
};

/// The most rows (and as many bands as the permutations allow) for which a pair right at the threshold still shares a
/// band with probability 0.9 or more: 16 x 8 for 128 permutations at 0.8, which is 0.947 there, 0.9998 at 0.9 and 0.06
/// at 0.5. More rows mean fewer pairs to compare and less memory.
NearDuplicateBands near_duplicate_bands(int permutations, double threshold);

/// The curve above: that a pair of this similarity is compared.
double candidate_probability(NearDuplicateBands bands, double similarity);

/// That a pair of this similarity is compared and found equal in enough minima: exact, by counting over the joint
/// distribution of equal minima and whole bands. 128 permutations at 0.8: 0.005 at 0.7, 0.50 at 0.8, 0.9995 at 0.9.
double near_duplicate_probability(const NearDuplicateSettings& settings, double similarity);

/// Equal minima out of `permutations` from which a pair counts as near-duplicate: the estimate of the similarity, equal
/// bytes of unequal minima (1 in 256) taken off, reaches the threshold.
int least_equal_minima(int permutations, double threshold);

}  // namespace stoa::trainer
