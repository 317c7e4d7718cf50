/// A supervisor's hub and its ranks over real sockets of this machine, in one process.
#include "stoa/launcher/supervisor_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <map>

#include "stoa/launcher/rank_reporter.h"

namespace stoa::launcher {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kSecret = "a secret of the job";
constexpr const char* kAttempt = "812.0.1";
constexpr auto kDeadline = std::chrono::seconds(33);

/// A rank by hand: what a reporter does, and what it would never do.
class HandMadeRank {
 public:
  explicit HandMadeRank(int port, const std::string& secret = kSecret)
      : socket_(context_), channel_(SecretChannel::Side::kRank, secret) {
    socket_.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)});
  }
  void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes)); }
  std::string opening() const { return channel_.opening(); }
  std::string seal(const std::string& message) { return channel_.seal(message); }
  bool is_open() const { return channel_.is_open(); }
  bool has_bytes() { return socket_.available() > 0; }
  void close() { socket_.close(); }
  /// What lies there of what the supervisor sent.
  std::vector<std::string> messages() {
    std::string bytes(socket_.available(), '\0');
    asio::read(socket_, asio::buffer(bytes));
    std::vector<std::string> messages;
    std::string reply;
    EXPECT_TRUE(channel_.receive(bytes, messages, reply));
    return messages;
  }
  /// Whether the other side has closed; bytes that came before it are counted.
  bool is_closed() {
    socket_.non_blocking(true);
    char bytes[4096];
    ErrorCode error;
    unexpected_ += socket_.read_some(asio::buffer(bytes), error);
    return error && error != asio::error::would_block;
  }
  std::size_t bytes_before_the_end() const { return unexpected_; }

 private:
  asio::io_context context_;
  tcp::socket socket_;
  SecretChannel channel_;
  std::size_t unexpected_ = 0;
};

class SupervisorHubTest : public testing::Test {
 protected:
  /// Runs the hub until it is so; false where the deadline passes first.
  template <typename Condition>
  bool until(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + kDeadline;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context_.run_one_for(std::chrono::milliseconds(10));
    }
    return true;
  }
  void open(HandMadeRank& rank) {
    rank.send(rank.opening());
    ASSERT_TRUE(until([&] { return rank.has_bytes(); }));
    rank.messages();
    ASSERT_TRUE(rank.is_open());
  }
  void greet(HandMadeRank& rank, std::int64_t number) {
    open(rank);
    const std::size_t before = greetings_.size();
    rank.send(rank.seal(encode(RankGreeting{.rank = number, .attempt = kAttempt})));
    ASSERT_TRUE(until([&] { return greetings_.size() > before; }));
  }
  SupervisorAddress address() const { return {.hosts = {"127.0.0.1"}, .port = hub_.port(), .secret = kSecret}; }

  std::vector<RankGreeting> greetings_;
  std::multimap<std::int64_t, Heartbeat> beats_;
  std::vector<std::int64_t> gone_;
  asio::io_context context_;
  SupervisorHub hub_{context_,
                     kSecret,
                     kAttempt,
                     {.greeted = [this](const RankGreeting& greeting) { greetings_.push_back(greeting); },
                      .beat = [this](std::int64_t rank, const Heartbeat& beat) { beats_.emplace(rank, beat); },
                      .gone = [this](std::int64_t rank) { gone_.push_back(rank); }}};
};

RankGreeting greeting_of(std::int64_t rank) {
  return {.rank = rank, .attempt = kAttempt, .host = "node7", .build = "digest", .binding = "local 0 of 1"};
}

RankReporter::Sources silent_sources() {
  return {.beat = [] { return Heartbeat{}; }, .obey = [](SupervisorOrder) {}};
}

TEST_F(SupervisorHubTest, HearsGreetingsAndHeartbeatsOfRanks) {
  std::atomic<std::int64_t> step = 33;
  const RankReporter::Sources sources{
      .beat =
          [&step] {
            return Heartbeat{.phase = trainer::LoopPhase::kTraining, .step = step++, .waiting = "all_reduce"};
          },
      .obey = [](SupervisorOrder) {}};
  const RankReporter three(address(), greeting_of(3), sources);
  const RankReporter zero(address(), greeting_of(0), sources);
  ASSERT_TRUE(until([&] { return beats_.count(3) >= 2 && beats_.count(0) >= 1; }));
  ASSERT_EQ(greetings_.size(), 2u);
  const RankGreeting& greeting = greetings_[greetings_[0].rank == 3 ? 0 : 1];
  EXPECT_EQ(greeting.rank, 3);
  EXPECT_EQ(greeting.host, "node7");
  EXPECT_EQ(greeting.build, "digest");
  EXPECT_EQ(greeting.binding, "local 0 of 1");
  EXPECT_EQ(beats_.find(3)->second.phase, trainer::LoopPhase::kTraining);
  EXPECT_EQ(beats_.find(3)->second.waiting, "all_reduce");
  EXPECT_LT(beats_.lower_bound(3)->second.step, std::prev(beats_.upper_bound(3))->second.step);
  EXPECT_THAT(gone_, IsEmpty());
}

TEST_F(SupervisorHubTest, AnOrderReachesARankThatIsThereAndOneThatComesLater) {
  std::atomic<int> obeyed = 0;
  RankReporter::Sources sources = silent_sources();
  sources.obey = [&obeyed](SupervisorOrder order) { obeyed += order == SupervisorOrder::kSaveAndStop ? 1 : 100; };
  const RankReporter first(address(), greeting_of(0), sources);
  ASSERT_TRUE(until([&] { return beats_.count(0) >= 1; }));
  EXPECT_EQ(obeyed, 0);
  hub_.order_all(SupervisorOrder::kSaveAndStop);
  ASSERT_TRUE(until([&] { return obeyed == 1; }));
  const RankReporter late(address(), greeting_of(1), sources);
  ASSERT_TRUE(until([&] { return obeyed == 2; }));
}

TEST_F(SupervisorHubTest, AnOrderBetweenOpeningAndGreetingIsGivenOnce) {
  HandMadeRank rank(hub_.port());
  open(rank);
  hub_.order_all(SupervisorOrder::kSaveAndStop);
  ASSERT_TRUE(until([&] { return rank.has_bytes(); }));
  EXPECT_THAT(rank.messages(), ElementsAre(encode(SupervisorOrder::kSaveAndStop)));
  HandMadeRank other(hub_.port());
  greet(other, 1);
  EXPECT_FALSE(rank.has_bytes());
}

TEST_F(SupervisorHubTest, AReporterThatEndsSendsALastHeartbeatAndIsGone) {
  std::atomic<bool> ending = false;
  RankReporter::Sources sources = silent_sources();
  sources.beat = [&ending] {
    return Heartbeat{.phase = ending ? trainer::LoopPhase::kEnding : trainer::LoopPhase::kTraining};
  };
  auto reporter = std::make_unique<RankReporter>(address(), greeting_of(7), sources);
  ASSERT_TRUE(until([&] { return beats_.count(7) >= 1; }));
  ending = true;
  reporter.reset();
  ASSERT_TRUE(until([&] { return !gone_.empty(); }));
  EXPECT_THAT(gone_, ElementsAre(7));
  EXPECT_EQ(std::prev(beats_.end())->second.phase, trainer::LoopPhase::kEnding);
}

TEST_F(SupervisorHubTest, ARankThatDiesIsReportedGoneOnce) {
  HandMadeRank rank(hub_.port());
  greet(rank, 5);
  rank.close();
  ASSERT_TRUE(until([&] { return !gone_.empty(); }));
  HandMadeRank other(hub_.port());
  greet(other, 6);
  EXPECT_THAT(gone_, ElementsAre(5));
}

TEST_F(SupervisorHubTest, AStrangerIsClosedWithoutAByte) {
  HandMadeRank wrong_secret(hub_.port(), "another secret");
  wrong_secret.send(wrong_secret.opening());
  HandMadeRank browser(hub_.port());
  browser.send("GET / HTTP/1.1\r\n\r\n");
  for (HandMadeRank* stranger : {&wrong_secret, &browser}) {
    ASSERT_TRUE(until([&] { return stranger->is_closed(); }));
    EXPECT_EQ(stranger->bytes_before_the_end(), 0u);
  }
  EXPECT_THAT(greetings_, IsEmpty());
  EXPECT_THAT(gone_, IsEmpty());
}

TEST_F(SupervisorHubTest, AnOrderGoesToNoStranger) {
  HandMadeRank stranger(hub_.port());
  stranger.send(stranger.opening().substr(0, 7));
  HandMadeRank rank(hub_.port());
  greet(rank, 0);
  hub_.order_all(SupervisorOrder::kSaveAndStop);
  ASSERT_TRUE(until([&] { return rank.has_bytes(); }));
  EXPECT_FALSE(stranger.has_bytes());
}

TEST_F(SupervisorHubTest, AStrangerThatProvesNothingIsClosedAfterSomeSeconds) {
  HandMadeRank stranger(hub_.port());
  // The opening may have been overheard and repeated: it proves nothing yet.
  HandMadeRank never_greets(hub_.port());
  open(never_greets);
  ASSERT_TRUE(until([&] { return stranger.is_closed() && never_greets.is_closed(); }));
  EXPECT_EQ(stranger.bytes_before_the_end() + never_greets.bytes_before_the_end(), 0u);
  EXPECT_THAT(gone_, IsEmpty());
}

TEST_F(SupervisorHubTest, ARankOfAnotherAttemptIsNotLetIn) {
  HandMadeRank rank(hub_.port());
  open(rank);
  rank.send(rank.seal(encode(RankGreeting{.rank = 1, .attempt = "812.0.2"})));
  ASSERT_TRUE(until([&] { return rank.is_closed(); }));
  EXPECT_EQ(rank.bytes_before_the_end(), 0u);
  EXPECT_THAT(greetings_, IsEmpty());
  EXPECT_THAT(gone_, IsEmpty());
}

TEST_F(SupervisorHubTest, ARankThatTalksNonsenseIsClosed) {
  HandMadeRank beats_first(hub_.port());
  open(beats_first);
  beats_first.send(beats_first.seal(encode(Heartbeat{})));
  ASSERT_TRUE(until([&] { return beats_first.is_closed(); }));
  EXPECT_THAT(gone_, IsEmpty());
  EXPECT_THAT(beats_, IsEmpty());

  HandMadeRank greets_twice(hub_.port());
  greet(greets_twice, 1);
  greets_twice.send(greets_twice.seal(encode(RankGreeting{.rank = 2, .attempt = kAttempt})));
  ASSERT_TRUE(until([&] { return greets_twice.is_closed(); }));
  EXPECT_THAT(gone_, ElementsAre(1));

  HandMadeRank forges(hub_.port());
  greet(forges, 3);
  std::string frame = forges.seal(encode(Heartbeat{.step = 33}));
  frame.back() = static_cast<char>(frame.back() ^ 1);
  forges.send(frame);
  ASSERT_TRUE(until([&] { return forges.is_closed(); }));
  EXPECT_THAT(gone_, ElementsAre(1, 3));
  EXPECT_THAT(beats_, IsEmpty());
}

TEST_F(SupervisorHubTest, TakesARankWhoseBytesComeOneByOne) {
  HandMadeRank rank(hub_.port());
  for (const char byte : rank.opening()) {
    rank.send({byte});
    context_.poll();
  }
  ASSERT_TRUE(until([&] { return rank.has_bytes(); }));
  rank.messages();
  std::string talk = rank.seal(encode(RankGreeting{.rank = 9, .attempt = kAttempt}));
  talk += rank.seal(encode(Heartbeat{.step = 33}));
  for (const char byte : talk) {
    rank.send({byte});
    context_.poll();
  }
  ASSERT_TRUE(until([&] { return beats_.count(9) == 1; }));
  EXPECT_EQ(beats_.find(9)->second.step, 33);
}

TEST_F(SupervisorHubTest, HandlersThatWereReadyWhenItClosedDoNothing) {
  HandMadeRank rank(hub_.port());
  greet(rank, 4);
  HandMadeRank other(hub_.port());
  other.send(other.opening());
  rank.send(rank.seal(encode(Heartbeat{.step = 33})));
  rank.close();
  const std::size_t beats = beats_.size();
  hub_.close();
  context_.restart();
  context_.poll();
  EXPECT_EQ(beats_.size(), beats);
  EXPECT_THAT(gone_, IsEmpty());
  EXPECT_TRUE(until([&] { return other.is_closed(); }));
}

TEST_F(SupervisorHubTest, AReporterIsNotHeldUpByASupervisorThatIsGone) {
  const int port = hub_.port();
  hub_.close();
  int beats = 0;
  {
    const RankReporter reporter({.hosts = {"127.0.0.1"}, .port = port, .secret = kSecret}, greeting_of(0),
                                {.beat =
                                     [&beats] {
                                       ++beats;
                                       return Heartbeat{};
                                     },
                                 .obey = [](SupervisorOrder) {}});
  }
  EXPECT_EQ(beats, 0);
}

class SupervisorEnvironment : public testing::Test {
 protected:
  static void set(const char* where, const char* secret) {
    ::unsetenv(kSupervisorVariable);
    ::unsetenv(kSecretVariable);
    if (where != nullptr) ::setenv(kSupervisorVariable, where, 1);
    if (secret != nullptr) ::setenv(kSecretVariable, secret, 1);
  }
  ~SupervisorEnvironment() override { set(nullptr, nullptr); }
};

TEST_F(SupervisorEnvironment, AnAddressComesBackAndItsSecretStaysWithNoChild) {
  const SupervisorAddress address{.hosts = {"node1", "10.0.0.1", "127.0.0.1"}, .port = 4711, .secret = "s"};
  set(to_variable(address).c_str(), "s");
  const auto again = supervisor_from_environment();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->hosts, address.hosts);
  EXPECT_EQ(again->port, 4711);
  EXPECT_EQ(again->secret, "s");
  EXPECT_EQ(std::getenv(kSecretVariable), nullptr);
  EXPECT_FALSE(supervisor_from_environment());
}

TEST_F(SupervisorEnvironment, AnEnvironmentThatSaysLessIsNoAddress) {
  const std::vector<std::pair<const char*, const char*>> less = {
      {nullptr, nullptr}, {"node1:4711", nullptr}, {nullptr, "s"}, {"node1", "s"}, {"", "s"}};
  for (const auto& [where, secret] : less) {
    set(where, secret);
    EXPECT_FALSE(supervisor_from_environment()) << (where == nullptr ? "none" : where);
  }
}

}  // namespace
}  // namespace stoa::launcher
