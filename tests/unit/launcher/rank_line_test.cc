/// The line between a rank and its supervisor: what it lets through, and what it does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <limits>

#include "stoa/launcher/heartbeat.h"
#include "stoa/launcher/rank_reporter.h"
#include "stoa/launcher/secret_channel.h"
#include "stoa/launcher/supervisor_hub.h"

namespace stoa::launcher {
namespace {

using Messages = std::vector<std::string>;
using std::chrono_literals::operator""s;

const std::string kSecret = make_secret();

Heartbeat beat() {
  return {.phase = trainer::LoopPhase::kSaving,
          .step = 257,
          .changes = 33,
          .step_s = 0.25,
          .waiting = "all_reduce x",
          .waiting_s = 1.5};
}

TEST(HeartbeatBytes, ComeBackAsTheyWere) {
  const auto read = decode_heartbeat(encode(beat()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->phase, trainer::LoopPhase::kSaving);
  EXPECT_EQ(read->step, 257);
  EXPECT_EQ(read->changes, 33U);
  EXPECT_EQ(read->waiting, "all_reduce x");
  const auto greeting = decode_greeting(encode(RankGreeting{3, "812.0.1", "node1", "abc", "GPU 0"}));
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->host, "node1");
  EXPECT_TRUE(decode_order(encode(SupervisorOrder::kSaveAndStop)));
}

TEST(HeartbeatBytes, ThatAreNoneAreRefused) {
  const std::string whole = encode(beat());
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode_heartbeat(whole.substr(0, size))) << size;
  EXPECT_FALSE(decode_heartbeat(whole + "x"));
  EXPECT_FALSE(decode_greeting(whole));
  EXPECT_FALSE(decode_order(whole));
  Heartbeat wrong = beat();
  wrong.step_s = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(decode_heartbeat(encode(wrong)));
  wrong = beat();
  wrong.step = -1;
  EXPECT_FALSE(decode_heartbeat(encode(wrong)));
}

/// Two ends that were opened.
struct Opened {
  SecretChannel rank{SecretChannel::Side::kRank, kSecret};
  SecretChannel supervisor{SecretChannel::Side::kSupervisor, kSecret};
  Opened() {
    Messages none;
    std::string reply;
    std::string nothing;
    EXPECT_TRUE(supervisor.receive(rank.opening(), none, reply));
    EXPECT_TRUE(rank.receive(reply, none, nothing));
    EXPECT_TRUE(rank.is_open());
    EXPECT_TRUE(supervisor.is_open());
  }
};

TEST(SecretChannel, CarriesMessagesBothWaysInAnyPieces) {
  Opened ends;
  std::string bytes = ends.rank.seal("one");
  bytes += ends.rank.seal("");
  bytes += ends.rank.seal(std::string(8192, 'x'));
  Messages heard;
  std::string reply;
  for (const char byte : bytes) ASSERT_TRUE(ends.supervisor.receive({&byte, 1}, heard, reply));
  EXPECT_EQ(heard, (Messages{"one", "", std::string(8192, 'x')}));
  heard.clear();
  EXPECT_TRUE(ends.rank.receive(ends.supervisor.seal("stop"), heard, reply));
  EXPECT_EQ(heard, Messages{"stop"});
  EXPECT_EQ(reply, "");
}

TEST(SecretChannel, AStrangerGetsNoByte) {
  for (const std::string& opening : {SecretChannel(SecretChannel::Side::kRank, make_secret()).opening(),
                                     std::string("GET / HTTP/1.1\r\n\r\n"), std::string(64, '\0')}) {
    SecretChannel supervisor(SecretChannel::Side::kSupervisor, kSecret);
    Messages heard;
    std::string reply;
    EXPECT_FALSE(supervisor.receive(opening, heard, reply));
    EXPECT_EQ(reply, "");
    EXPECT_FALSE(supervisor.receive(SecretChannel(SecretChannel::Side::kRank, kSecret).opening(), heard, reply));
  }
}

TEST(SecretChannel, AnyFlippedByteIsRefused) {
  const std::string opening = SecretChannel(SecretChannel::Side::kRank, kSecret).opening();
  for (std::size_t at = 0; at < opening.size(); ++at) {
    std::string bent = opening;
    bent[at] ^= 1;
    SecretChannel supervisor(SecretChannel::Side::kSupervisor, kSecret);
    Messages heard;
    std::string reply;
    EXPECT_FALSE(supervisor.receive(bent, heard, reply)) << at;
  }
  const std::size_t size = Opened().rank.seal("message").size();
  for (std::size_t at = 0; at < size; ++at) {
    Opened ends;
    std::string bytes = ends.rank.seal("message");
    bytes[at] ^= 1;
    Messages heard;
    std::string reply;
    const bool accepted = ends.supervisor.receive(bytes, heard, reply);
    // A larger size is only a message that is not whole yet.
    EXPECT_TRUE(!accepted || at < 4) << at;
    EXPECT_TRUE(heard.empty()) << at;
  }
}

TEST(SecretChannel, RepeatedAndReorderedMessagesAreRefused) {
  Messages heard;
  std::string reply;
  Opened repeated;
  const std::string message = repeated.rank.seal("stop");
  EXPECT_TRUE(repeated.supervisor.receive(message, heard, reply));
  EXPECT_FALSE(repeated.supervisor.receive(message, heard, reply));
  Opened reordered;
  const std::string first = reordered.rank.seal("first");
  EXPECT_FALSE(reordered.supervisor.receive(reordered.rank.seal("second"), heard, reply));
  Opened reflected;
  EXPECT_FALSE(reflected.rank.receive(reflected.rank.seal("mine"), heard, reply));
}

/// A hub whose context runs as long as a test waits for something.
class HubTest : public testing::Test {
 protected:
  HubTest()
      : hub_(context_, kSecret, "7.0.1",
             {.greeted = [this](const RankGreeting& greeting) { greeted_.push_back(greeting.rank); },
              .beat = [this](std::int64_t, const Heartbeat& heard) { beats_.push_back(heard.step); },
              .gone = [this](std::int64_t rank) { gone_.push_back(rank); }}) {}

  bool run_until(const std::function<bool()>& is_so) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!is_so() && std::chrono::steady_clock::now() < end) context_.run_for(std::chrono::milliseconds(10));
    return is_so();
  }
  std::unique_ptr<RankReporter> rank(std::int64_t number, const std::string& attempt = "7.0.1",
                                     const std::string& secret = kSecret) {
    return std::make_unique<RankReporter>(
        SupervisorAddress{.hosts = {"127.0.0.1"}, .port = hub_.port(), .secret = secret},
        RankGreeting{.rank = number, .attempt = attempt, .host = "node1"},
        RankReporter::Sources{.beat = [number] { return Heartbeat{.step = 100 + number}; },
                              .obey = [this](SupervisorOrder) { ++obeyed_; }});
  }

  boost::asio::io_context context_;
  SupervisorHub hub_;
  std::vector<std::int64_t> greeted_;
  std::vector<std::int64_t> beats_;
  std::vector<std::int64_t> gone_;
  std::atomic<int> obeyed_{0};
};

TEST_F(HubTest, HearsItsRanksAndTheyHearIt) {
  const auto first = rank(0);
  ASSERT_TRUE(run_until([&] { return !beats_.empty(); }));
  EXPECT_EQ(greeted_, std::vector<std::int64_t>{0});
  EXPECT_EQ(beats_.front(), 100);
  hub_.order_all(SupervisorOrder::kSaveAndStop);
  ASSERT_TRUE(run_until([&] { return obeyed_ == 1; }));
  const auto late = rank(1);  // comes after the order
  EXPECT_TRUE(run_until([&] { return obeyed_ == 2; }));
}

TEST_F(HubTest, NoticesARankThatIsGone) {
  auto first = rank(3);
  ASSERT_TRUE(run_until([&] { return !greeted_.empty(); }));
  first.reset();
  EXPECT_TRUE(run_until([&] { return gone_ == std::vector<std::int64_t>{3}; }));
}

TEST_F(HubTest, LetsInNoneOfAnotherAttemptOrSecret) {
  const auto other = rank(0, "7.0.2");
  const auto stranger = rank(1, "7.0.1", make_secret());
  const auto own = rank(2);
  ASSERT_TRUE(run_until([&] { return !greeted_.empty(); }));
  context_.run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(greeted_, std::vector<std::int64_t>{2});
}

TEST_F(HubTest, AnswersAStrangerWithNothing) {
  using boost::asio::ip::tcp;
  boost::asio::io_context own;
  tcp::socket socket(own);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), static_cast<unsigned short>(hub_.port())});
  boost::asio::write(socket, boost::asio::buffer(SecretChannel(SecretChannel::Side::kRank, make_secret()).opening()));
  bool closed = false;
  std::array<char, 16> bytes{};
  std::size_t got = 1;
  socket.async_read_some(boost::asio::buffer(bytes), [&](const boost::system::error_code& error, std::size_t size) {
    closed = bool(error);
    got = size;
  });
  EXPECT_TRUE(run_until([&] {
    own.poll();
    return closed;
  }));
  EXPECT_EQ(got, 0U);
}

TEST(SupervisorAddressTest, GoesThroughTheEnvironmentAndTheSecretIsTakenOut) {
  ::setenv(kSupervisorVariable, to_variable({.hosts = {"node1", "10.0.0.1"}, .port = 4711}).c_str(), 1);
  ::setenv(kSecretVariable, "abc", 1);
  const auto read = supervisor_from_environment();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->hosts, (std::vector<std::string>{"node1", "10.0.0.1"}));
  EXPECT_EQ(read->port, 4711);
  EXPECT_EQ(read->secret, "abc");
  EXPECT_EQ(std::getenv(kSecretVariable), nullptr);
  EXPECT_FALSE(supervisor_from_environment());
}

}  // namespace
}  // namespace stoa::launcher
