/// What comes to a supervisor from a network and to `stoa status` from a log that others wrote: bytes of a stranger, of
/// a rank that knows the secret and sends nonsense, lines of an event log.
#include <cstdlib>

#include "stoa/base/error.h"
#include "stoa/cluster/run_events.h"
#include "stoa/launcher/heartbeat.h"
#include "stoa/launcher/secret_channel.h"
#include "stoa/tests/fuzz/fuzz_target.h"

namespace {

using namespace stoa;
using launcher::SecretChannel;

void try_channel(SecretChannel::Side side, std::string_view input) {
  SecretChannel channel(side, "secret");
  std::vector<std::string> messages;
  std::string reply;
  // Nobody guesses a proof: nothing may get through, and a stranger is not answered.
  const bool accepted = channel.receive(input, messages, reply);
  if (!messages.empty() || !reply.empty() || channel.is_open()) std::abort();
  if (accepted && input.size() > 64) std::abort();
}

void try_messages(std::string_view input) {
  if (const auto beat = launcher::decode_heartbeat(input); beat && launcher::encode(*beat) != input) std::abort();
  if (const auto greeting = launcher::decode_greeting(input); greeting && launcher::encode(*greeting) != input)
    std::abort();
  launcher::decode_order(input);
}

void try_event(std::string_view input) {
  try {
    const std::string once = cluster::to_line(cluster::parse_event(input, "input"));
    if (cluster::to_line(cluster::parse_event(once, "again")) != once) std::abort();
  } catch (const DataError&) {
  }
}

}  // namespace

namespace stoa::fuzz {

std::vector<std::string> seeds() {
  return {launcher::encode(launcher::Heartbeat{.step = 33, .waiting = "all_reduce"}),
          launcher::encode(launcher::RankGreeting{3, "7.0.1", "node1", "build", "GPU 0"}),
          SecretChannel(SecretChannel::Side::kRank, "other").opening(),
          cluster::to_line(cluster::AttemptStarted{
              .attempt = "7.0.1", .ranks = 3, .resources = 3, .job = "7", .nodes = {"node1"}, .layout = "data 3"}),
          cluster::to_line(cluster::AttemptEnded{.attempt = "7.0.1", .cause = cluster::EndCause::kHang}),
          cluster::to_line(cluster::JobSubmitted{.job = "7"})};
}

}  // namespace stoa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_channel(SecretChannel::Side::kSupervisor, input);
  try_channel(SecretChannel::Side::kRank, input);
  try_messages(input);
  try_event(input);
  return 0;
}
