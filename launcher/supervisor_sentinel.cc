#include "stoa/launcher/supervisor_sentinel.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <chrono>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/run_preparation.h"
#include "stoa/launcher/secret_channel.h"
#include "stoa/launcher/slurm_allocation.h"
#include "stoa/launcher/submission.h"
#include "stoa/launcher/supervisor_hub.h"

namespace stoa::launcher {
namespace {

constexpr std::string_view kName = "sentinel";
constexpr int kStartMs = 15'000;

void hand_over(const std::filesystem::path& spec, const Clock& clock) {
  const PreparedRun run = read_begun_run(spec.parent_path());
  const SlurmJob job = job_from_environment();
  SlurmAllocation allocation(job, batch_job(run), spec.string(), clock);
  cluster::RunRecord record(run.directory.events());
  if (const cluster::Attempt* open = record.state().running(); open != nullptr && open->started.job == job.id)
    close_open_attempt(run, record, cluster::EndCause::kNodeFailure);
  const cluster::JobSubmitted next = allocation.next_job({});
  record.append(next);
  allocation.hand_over(next, Allocation::HandOver::kByOrder);
}

}  // namespace

int stand_sentinel(const std::filesystem::path& spec, std::FILE* out, const Clock& clock) {
  const auto address = supervisor_from_environment();
  if (!address) throw UsageError("a sentinel is started by stoa supervise");
  boost::asio::io_context context;
  double heard_s = clock.monotonic_s();
  SupervisorHub hub(context, address->secret, std::string(kName),
                    {.greeted = [&](const RankGreeting&) { heard_s = clock.monotonic_s(); },
                     .beat = [&](std::int64_t, const Heartbeat&) { heard_s = clock.monotonic_s(); },
                     .gone = [](std::int64_t) {}});
  fmt::print(out, "{}\n", hub.port());
  std::fflush(out);
  boost::asio::steady_timer timer(context);
  const std::function<void()> look = [&] {
    if (clock.monotonic_s() - heard_s > kSentinelPatience_s) return context.stop();
    timer.expires_after(std::chrono::seconds(1));
    timer.async_wait([&](const boost::system::error_code& cancelled) {
      if (!cancelled) look();
    });
  };
  look();
  context.run();
  hand_over(spec, clock);
  return kExitFinished;
}

Sentinel::Sentinel(ProcessSettings command, std::string node) : node_(std::move(node)), secret_(make_secret()) {
  command.environment[kSupervisorVariable] = to_variable({.hosts = {"sentinel"}, .port = 1, .secret = secret_});
  command.environment[kSecretVariable] = secret_;
  command.standard_output = ProcessSettings::Output::kPipe;
  process_ = std::make_unique<Process>(command);
  std::string text;
  pollfd ready{.fd = process_->output(), .events = POLLIN, .revents = 0};
  while (text.find('\n') == std::string::npos && ::poll(&ready, 1, kStartMs) == 1) {
    char bytes[256];
    const ssize_t got = ::read(process_->output(), bytes, sizeof bytes);
    if (got <= 0) break;
    text.append(bytes, static_cast<std::size_t>(got));
  }
  int port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  if (port == 0) {
    process_->signal(SIGTERM);
    return;
  }
  line_ = std::make_unique<RankReporter>(
      SupervisorAddress{.hosts = {node_}, .port = port, .secret = secret_},
      RankGreeting{.rank = 0, .attempt = std::string(kName), .host = host_name()},
      RankReporter::Sources{.beat = [] { return Heartbeat{}; }, .obey = [](SupervisorOrder) {}});
}

bool Sentinel::is_standing() { return line_ != nullptr && !process_->poll(); }

}  // namespace stoa::launcher
