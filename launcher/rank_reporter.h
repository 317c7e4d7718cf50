#pragma once
/// A rank's line to its supervisor: a thread that sends a heartbeat a second and hears orders. A supervisor that cannot
/// be reached is tried again each second; the training does not wait for it.
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/launcher/heartbeat.h"

namespace stoa::launcher {

/// Where the supervisor listens and what proves that one belongs to it. Goes through the ranks' environment.
struct SupervisorAddress {
  std::vector<std::string> hosts;  ///< names or addresses, tried in turn
  int port = 0;
  std::string secret;
};
inline constexpr const char* kSupervisorVariable = "STOA_SUPERVISOR";  ///< "node1,10.0.0.1:4711"
inline constexpr const char* kSecretVariable = "STOA_SUPERVISOR_SECRET";

std::string to_variable(const SupervisorAddress& address);
/// What the environment says; nothing where it says none. Takes the secret out of the environment, so that no child
/// inherits it.
std::optional<SupervisorAddress> supervisor_from_environment();

class RankReporter {
 public:
  struct Sources {
    std::function<Heartbeat()> beat;            ///< called by the reporter's thread
    std::function<void(SupervisorOrder)> obey;  ///< too
  };
  RankReporter(SupervisorAddress address, RankGreeting greeting, Sources sources);
  /// Sends a last heartbeat and ends.
  ~RankReporter();
  RankReporter(const RankReporter&) = delete;
  RankReporter& operator=(const RankReporter&) = delete;

 private:
  void work();
  /// Until the connection breaks or the end is asked for.
  void talk(int socket);

  SupervisorAddress address_;
  RankGreeting greeting_;
  Sources sources_;
  FileDescriptor wake_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace stoa::launcher
