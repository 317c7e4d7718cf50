#include "stoa/launcher/secret_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::launcher {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Side = SecretChannel::Side;

constexpr const char* kSecret = "a secret of the job";
/// Whatever size a stranger claims: with so many bytes more a frame of it is whole.
constexpr std::size_t kEnough = SecretChannel::kMostBytes + 33;

struct Heard {
  bool good = false;
  std::vector<std::string> messages;
  std::string reply;
};

Heard hear(SecretChannel& channel, std::string_view bytes) {
  Heard heard;
  heard.good = channel.receive(bytes, heard.messages, heard.reply);
  return heard;
}

struct Pair {
  SecretChannel rank{Side::kRank, kSecret};
  SecretChannel supervisor{Side::kSupervisor, kSecret};
  void open() {
    const Heard first = hear(supervisor, rank.opening());
    ASSERT_TRUE(first.good);
    const Heard second = hear(rank, first.reply);
    ASSERT_TRUE(second.good);
    ASSERT_EQ(second.reply, "");
    ASSERT_TRUE(rank.is_open() && supervisor.is_open());
  }
};

/// In this order, which operands of + need not have.
std::string seal_all(SecretChannel& channel, const std::vector<std::string>& messages) {
  std::string bytes;
  for (const std::string& message : messages) bytes += channel.seal(message);
  return bytes;
}

TEST(SecretChannel, CarriesMessagesOfAnySizeBothWays) {
  Pair pair;
  pair.open();
  for (const std::string& message : {std::string("beat"), std::string(), std::string("a\0\n\xff", 4),
                                     std::string(SecretChannel::kMostBytes, 'x'), std::string("last")}) {
    EXPECT_THAT(hear(pair.supervisor, pair.rank.seal(message)).messages, ElementsAre(message));
    EXPECT_THAT(hear(pair.rank, pair.supervisor.seal(message)).messages, ElementsAre(message));
  }
}

TEST(SecretChannel, TakesBytesInPiecesOfOneAndManyMessagesAtOnce) {
  Pair pair;
  std::string reply;
  for (const char byte : pair.rank.opening()) {
    const Heard heard = hear(pair.supervisor, {&byte, 1});
    ASSERT_TRUE(heard.good);
    reply += heard.reply;
  }
  for (const char byte : reply) ASSERT_TRUE(hear(pair.rank, {&byte, 1}).good);
  ASSERT_TRUE(pair.rank.is_open());
  const std::string three = seal_all(pair.rank, {"one", "", "three"});
  std::vector<std::string> messages;
  for (const char byte : three) ASSERT_TRUE(pair.supervisor.receive({&byte, 1}, messages, reply));
  EXPECT_THAT(messages, ElementsAre("one", "", "three"));
  EXPECT_THAT(hear(pair.supervisor, seal_all(pair.rank, {"four", "five"})).messages, ElementsAre("four", "five"));
}

TEST(SecretChannel, MessagesMayComeInTheSamePieceAsTheOpening) {
  Pair pair;
  const Heard opened = hear(pair.supervisor, pair.rank.opening());
  const Heard heard = hear(pair.rank, opened.reply + pair.supervisor.seal("order"));
  EXPECT_TRUE(heard.good);
  EXPECT_THAT(heard.messages, ElementsAre("order"));
}

TEST(SecretChannel, AFlippedBitOfTheOpeningIsRefusedWithoutAnAnswer) {
  const Pair pair;
  const std::string opening = pair.rank.opening();
  for (std::size_t bit = 0; bit < opening.size() * 8; ++bit) {
    SecretChannel supervisor = pair.supervisor;
    std::string wrong = opening;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    const Heard heard = hear(supervisor, wrong);
    EXPECT_FALSE(heard.good) << bit;
    EXPECT_EQ(heard.reply, "") << bit;
    EXPECT_FALSE(supervisor.is_open()) << bit;
  }
}

TEST(SecretChannel, AFlippedBitOfTheAnswerIsRefused) {
  Pair pair;
  const std::string reply = hear(pair.supervisor, pair.rank.opening()).reply;
  for (std::size_t bit = 0; bit < reply.size() * 8; ++bit) {
    SecretChannel rank = pair.rank;
    std::string wrong = reply;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(hear(rank, wrong).good) << bit;
    EXPECT_FALSE(rank.is_open()) << bit;
  }
}

/// A flipped size may make the receiver wait for more: it gets more, and must take none of it.
TEST(SecretChannel, AFlippedBitOfAMessageIsRefusedOnBothSides) {
  Pair pair;
  pair.open();
  for (const Side side : {Side::kRank, Side::kSupervisor}) {
    SecretChannel& sender = side == Side::kRank ? pair.rank : pair.supervisor;
    const SecretChannel& receiver = side == Side::kRank ? pair.supervisor : pair.rank;
    const std::string frame = sender.seal("heartbeat");
    const std::string more = seal_all(sender, {std::string(SecretChannel::kMostBytes, 'x'), "and more"});
    ASSERT_GE(more.size(), kEnough);
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
      SecretChannel copy = receiver;
      std::string wrong = frame;
      wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
      const Heard heard = hear(copy, wrong + more);
      EXPECT_FALSE(heard.good) << bit;
      EXPECT_THAT(heard.messages, IsEmpty()) << bit;
    }
  }
}

TEST(SecretChannel, ARepeatedReorderedOrOmittedMessageIsRefused) {
  Pair pair;
  pair.open();
  const std::string one = pair.rank.seal("one");
  const std::string two = pair.rank.seal("two");
  for (const auto& [bytes, taken] : {std::pair(one + one, 1), std::pair(two + one, 0), std::pair(two, 0)}) {
    SecretChannel supervisor = pair.supervisor;
    const Heard heard = hear(supervisor, bytes);
    EXPECT_FALSE(heard.good);
    EXPECT_EQ(std::ssize(heard.messages), taken);
  }
}

TEST(SecretChannel, AMessageThatIsCutOffIsNoneAndBreaksTheNext) {
  Pair pair;
  pair.open();
  const std::string one = pair.rank.seal("one");
  const std::string more = pair.rank.seal(std::string(SecretChannel::kMostBytes, 'x'));
  for (std::size_t size = 0; size < one.size(); ++size) {
    SecretChannel supervisor = pair.supervisor;
    const Heard heard = hear(supervisor, one.substr(0, size));
    EXPECT_TRUE(heard.good);
    EXPECT_THAT(heard.messages, IsEmpty());
    const Heard later = hear(supervisor, more + more);
    EXPECT_FALSE(later.good) << size;
    EXPECT_THAT(later.messages, IsEmpty());
  }
}

TEST(SecretChannel, AStrangerGetsNoByte) {
  for (const char* wrong : {"", "a secret of the joB", "a secret of the job "}) {
    const SecretChannel stranger(Side::kRank, wrong);
    SecretChannel supervisor(Side::kSupervisor, kSecret);
    const Heard heard = hear(supervisor, stranger.opening());
    EXPECT_FALSE(heard.good);
    EXPECT_EQ(heard.reply, "");
  }
  for (const char* talk : {"GET / HTTP/1.1\r\n\r\n", "S", "STOA2", "\x16\x03\x01"}) {
    SecretChannel supervisor(Side::kSupervisor, kSecret);
    const Heard heard = hear(supervisor, talk);
    EXPECT_EQ(heard.good, std::string_view(talk) == "S") << talk;
    EXPECT_EQ(heard.reply, "");
  }
}

TEST(SecretChannel, ARankDoesNotBelieveASupervisorWithoutTheSecret) {
  SecretChannel rank(Side::kRank, kSecret);
  SecretChannel false_rank(Side::kRank, "another secret");
  SecretChannel false_supervisor(Side::kSupervisor, "another secret");
  const std::string reply = hear(false_supervisor, false_rank.opening()).reply;
  ASSERT_FALSE(reply.empty());
  EXPECT_FALSE(hear(rank, reply).good);
  SecretChannel reflected(Side::kRank, kSecret);
  EXPECT_FALSE(hear(reflected, reflected.opening()).good);
}

TEST(SecretChannel, WhatWasSaidOnAnotherConnectionIsRefused) {
  Pair first;
  first.open();
  Pair second;
  second.open();
  const Heard heard = hear(second.supervisor, first.rank.seal("beat"));
  EXPECT_FALSE(heard.good);
  EXPECT_THAT(heard.messages, IsEmpty());
}

TEST(SecretChannel, ARepeatedOpeningOpensNoWayForMessages) {
  Pair pair;
  const std::string opening = pair.rank.opening();
  pair.open();
  const std::string beat = pair.rank.seal("beat");
  SecretChannel other(Side::kSupervisor, kSecret);
  EXPECT_TRUE(hear(other, opening).good);
  const Heard heard = hear(other, beat);
  EXPECT_FALSE(heard.good);
  EXPECT_THAT(heard.messages, IsEmpty());
}

TEST(SecretChannel, ItsOwnMessageThrownBackIsRefused) {
  Pair pair;
  pair.open();
  const std::string beat = pair.rank.seal("beat");
  EXPECT_FALSE(hear(pair.rank, beat).good);
}

TEST(SecretChannel, AMessageAboveTheLimitIsRefusedByItsSizeAlone) {
  Pair pair;
  pair.open();
  const std::string frame = pair.rank.seal(std::string(SecretChannel::kMostBytes + 1, 'x'));
  EXPECT_FALSE(hear(pair.supervisor, frame.substr(0, 33)).good);
}

TEST(SecretChannel, OnceBrokenItTakesNothingAnyMore) {
  Pair pair;
  pair.open();
  SecretChannel receiver = pair.supervisor;
  ASSERT_FALSE(hear(receiver, std::string(kEnough, '\xff')).good);
  const Heard heard = hear(receiver, pair.rank.seal("beat"));
  EXPECT_FALSE(heard.good);
  EXPECT_THAT(heard.messages, IsEmpty());
  SecretChannel closed(Side::kSupervisor, kSecret);
  ASSERT_FALSE(hear(closed, "nonsense").good);
  EXPECT_FALSE(hear(closed, SecretChannel(Side::kRank, kSecret).opening()).good);
}

TEST(SecretChannel, ASecretIs64HexadecimalDigitsAndNeverTheSame) {
  const std::string secret = make_secret();
  EXPECT_EQ(secret.size(), 64u);
  EXPECT_EQ(secret.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(secret, make_secret());
  EXPECT_NE(SecretChannel(Side::kRank, secret).opening(), SecretChannel(Side::kRank, secret).opening());
}

}  // namespace
}  // namespace stoa::launcher
