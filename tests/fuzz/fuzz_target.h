#pragma once
/// What a fuzz target gives to the driver in fuzz_main.cc. The target catches stoa::Error, which is how a parser may
/// refuse an input, and nothing else: any other exception, a signal, a sanitizer report or a wrong result is a finding.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// libFuzzer's entry point. Aborts or throws on a finding; returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace stoa::fuzz {

/// Valid inputs, built in the target's own file; every mutation starts at one of them.
std::vector<std::string> seeds();

}  // namespace stoa::fuzz
