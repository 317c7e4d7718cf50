/// What a supervisor and a rank read from the network: the channel on both sides, before and after it is open, and the
/// three messages in it. And what a supervisor reads from its event log: whatever is taken must come back unchanged.
#include <cstdlib>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/heartbeat.h"
#include "stoa/launcher/secret_channel.h"
#include "stoa/tests/fuzz/fuzz_target.h"

namespace {

using namespace stoa;
using namespace stoa::launcher;
using Side = SecretChannel::Side;

constexpr const char* kSecret = "a secret of the job";

struct Pair {
  SecretChannel rank{Side::kRank, kSecret};
  SecretChannel supervisor{Side::kSupervisor, kSecret};
  Pair() {
    std::vector<std::string> none;
    std::string reply;
    std::string nothing;
    if (!supervisor.receive(rank.opening(), none, reply) || !rank.receive(reply, none, nothing)) std::abort();
  }
};

/// Nobody who does not know the secret gets a message in, or a byte out.
void try_stranger(SecretChannel channel, std::string_view input) {
  const bool was_open = channel.is_open();
  std::vector<std::string> messages;
  std::string reply;
  for (std::size_t at = 0; at < input.size(); at += 7)
    if (!channel.receive(input.substr(at, 7), messages, reply)) break;
  if (!messages.empty() || !reply.empty() || channel.is_open() != was_open) std::abort();
}

void try_friend(Pair pair, std::string_view input) {
  const std::string message(input.substr(0, SecretChannel::kMostBytes));
  for (SecretChannel* sender : {&pair.rank, &pair.supervisor}) {
    SecretChannel& receiver = sender == &pair.rank ? pair.supervisor : pair.rank;
    std::vector<std::string> messages;
    std::string reply;
    if (!receiver.receive(sender->seal(message), messages, reply) || messages.size() != 1 || messages[0] != message)
      std::abort();
  }
}

void try_messages(std::string_view input) {
  if (const auto beat = decode_heartbeat(input); beat && encode(*beat) != input) std::abort();
  if (const auto greeting = decode_greeting(input); greeting && encode(*greeting) != input) std::abort();
  if (const auto order = decode_order(input); order && encode(*order) != input) std::abort();
}

void try_log(std::string_view input) {
  try {
    const std::string once = to_line(cluster::parse_event(input, "input"));
    if (to_line(cluster::parse_event(once, "again")) != once) std::abort();
  } catch (const DataError&) {
  }
  try {
    const cluster::RunState state = cluster::fold_events(input, "input");
    cluster::usage_records(state);
  } catch (const DataError&) {
  }
}

}  // namespace

namespace stoa::fuzz {

std::vector<std::string> seeds() {
  const SecretChannel rank(Side::kRank, "another secret");
  const std::string beat = encode(Heartbeat{.step = 33, .changes = 7, .step_s = 0.3, .waiting = "all_reduce"});
  const std::string greeting = encode(RankGreeting{.rank = 3, .attempt = "812.0.1", .host = "node1", .build = "d"});
  std::vector<std::string> all = {rank.opening(), beat, greeting, encode(SupervisorOrder::kSaveAndStop),
                                  Pair().rank.seal(beat)};
  std::string log;
  const std::vector<cluster::RunEvent> life = {
      cluster::RunCreated{"r", 1},
      cluster::JobSubmitted{.time = 2, .job = "812", .user = "alice"},
      cluster::AttemptStarted{.attempt = "1", .time = 3, .ranks = 3, .resources = 3, .job = "812", .nodes = {"a", "b"}},
      cluster::UserAsked{4, cluster::UserRequest::kPause, "alice"},
      cluster::NodeExcluded{5, "node3", "it fails"},
      cluster::AttemptEnded{.attempt = "1", .time = 6, .outcome = cluster::AttemptOutcome::kSaved},
      cluster::RunHeld{7, "a reason"},
      cluster::RunPaused{8},
      cluster::RunCancelled{9}};
  for (const cluster::RunEvent& event : life) {
    all.push_back(to_line(event));
    log += all.back() + '\n';
  }
  all.push_back(log);
  return all;
}

}  // namespace stoa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Pair opened;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_stranger(SecretChannel(Side::kRank, kSecret), input);
  try_stranger(SecretChannel(Side::kSupervisor, kSecret), input);
  try_stranger(opened.rank, input);
  try_stranger(opened.supervisor, input);
  try_friend(opened, input);
  try_messages(input);
  try_log(input);
  return 0;
}
