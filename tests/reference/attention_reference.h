#pragma once
/// Causal attention with grouped queries, documents and dropped probabilities, with the whole T x T matrix, in double.
#include <cmath>
#include <cstdint>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

/// B samples, T tokens, H query heads, K key-value heads, E head width.
struct AttentionSizes {
  std::size_t samples;
  std::size_t tokens;
  std::size_t heads;
  std::size_t key_value_heads;
  std::size_t head_width;
  std::size_t columns() const { return (heads + 2 * key_value_heads) * head_width; }
  std::size_t key_column(std::size_t head) const { return (heads + head / (heads / key_value_heads)) * head_width; }
  std::size_t value_column(std::size_t head) const { return key_column(head) + key_value_heads * head_width; }
};

struct Attention {
  Values o_bthe;
  Values lse_bht;
  Values p_bhts;  ///< before dropout; zero above the diagonal and for keys of other documents
};

/// The first key that each query may read; empty: 0.
using Begins = std::vector<std::int32_t>;

/// factors_bhts: 0 or 1 / (1 - rate) for each probability; empty: all 1.
inline Attention attention_forward(const AttentionSizes& sizes, const Values& qkv_btc, const Begins& begin_bt,
                                   const Values& factors_bhts) {
  const auto [b_end, t_end, h_end, k_end, e_end] = sizes;
  const std::size_t c = sizes.columns();
  Attention result{Values(b_end * t_end * h_end * e_end), Values(b_end * h_end * t_end),
                   Values(b_end * h_end * t_end * t_end)};
  for (std::size_t b = 0; b < b_end; ++b)
    for (std::size_t h = 0; h < h_end; ++h)
      for (std::size_t t = 0; t < t_end; ++t) {
        const std::size_t row = (b * h_end + h) * t_end + t;
        double* p_s = result.p_bhts.data() + row * t_end;
        const double* q_e = qkv_btc.data() + (b * t_end + t) * c + h * e_end;
        const auto begin = begin_bt.empty() ? 0 : static_cast<std::size_t>(begin_bt[b * t_end + t]);
        double total = 0;
        for (std::size_t s = begin; s <= t; ++s) {
          const double* k_e = qkv_btc.data() + (b * t_end + s) * c + sizes.key_column(h);
          double score = 0;
          for (std::size_t e = 0; e < e_end; ++e) score += q_e[e] * k_e[e];
          p_s[s] = std::exp(score / std::sqrt(static_cast<double>(e_end)));
          total += p_s[s];
        }
        result.lse_bht[row] = std::log(total);
        double* o_e = result.o_bthe.data() + ((b * t_end + t) * h_end + h) * e_end;
        for (std::size_t s = begin; s <= t; ++s) {
          p_s[s] /= total;
          const double used = p_s[s] * (factors_bhts.empty() ? 1 : factors_bhts[row * t_end + s]);
          const double* v_e = qkv_btc.data() + (b * t_end + s) * c + sizes.value_column(h);
          for (std::size_t e = 0; e < e_end; ++e) o_e[e] += used * v_e[e];
        }
      }
  return result;
}

inline Values attention_backward(const AttentionSizes& sizes, const Values& qkv_btc, const Begins& begin_bt,
                                 const Values& factors_bhts, const Values& do_bthe) {
  const auto [b_end, t_end, h_end, k_end, e_end] = sizes;
  const std::size_t c = sizes.columns();
  const double scale = 1 / std::sqrt(static_cast<double>(e_end));
  const Attention forward = attention_forward(sizes, qkv_btc, begin_bt, factors_bhts);
  Values dqkv_btc(qkv_btc.size());
  Values dp_s(t_end);
  for (std::size_t b = 0; b < b_end; ++b)
    for (std::size_t h = 0; h < h_end; ++h)
      for (std::size_t t = 0; t < t_end; ++t) {
        const std::size_t row = (b * h_end + h) * t_end + t;
        const double* p_s = forward.p_bhts.data() + row * t_end;
        const double* do_e = do_bthe.data() + ((b * t_end + t) * h_end + h) * e_end;
        const std::size_t q = (b * t_end + t) * c + h * e_end;
        const auto begin = begin_bt.empty() ? 0 : static_cast<std::size_t>(begin_bt[b * t_end + t]);
        double p_dot_dp = 0;
        for (std::size_t s = begin; s <= t; ++s) {
          const double factor = factors_bhts.empty() ? 1 : factors_bhts[row * t_end + s];
          const std::size_t v = (b * t_end + s) * c + sizes.value_column(h);
          dp_s[s] = 0;
          for (std::size_t e = 0; e < e_end; ++e) {
            dp_s[s] += factor * do_e[e] * qkv_btc[v + e];
            dqkv_btc[v + e] += factor * p_s[s] * do_e[e];
          }
          p_dot_dp += p_s[s] * dp_s[s];
        }
        for (std::size_t s = begin; s <= t; ++s) {
          const double dscore = p_s[s] * (dp_s[s] - p_dot_dp) * scale;
          const std::size_t k = (b * t_end + s) * c + sizes.key_column(h);
          for (std::size_t e = 0; e < e_end; ++e) {
            dqkv_btc[q + e] += dscore * qkv_btc[k + e];
            dqkv_btc[k + e] += dscore * qkv_btc[q + e];
          }
        }
      }
  return dqkv_btc;
}

}  // namespace stoa::reference
