#pragma once
/// Text that arrives in pieces cut anywhere, handed on in pieces that end between characters: what a terminal may be
/// shown.
#include <string>
#include <string_view>

namespace stoa::trainer {

class Utf8Stream {
 public:
  /// What can be shown now: everything but the begun character at the end, which at most three bytes can be. Bytes that
  /// are no UTF-8 pass through as they are.
  std::string push(std::string_view bytes);
  /// The begun character that waits for its end.
  const std::string& held() const { return held_; }

 private:
  std::string held_;
};

}  // namespace stoa::trainer
