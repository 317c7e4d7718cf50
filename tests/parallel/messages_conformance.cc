/// Messages from rank to rank: part of the conformance suite.
#include <chrono>
#include <numeric>
#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/parallel/communicator_conformance.h"
#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {
namespace {

std::vector<float> message(int from, int to, int number, std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), static_cast<float>(10007 * from + 1009 * to + number));
  return values;
}

void expect_message(Communicator& group, int from, int number, std::size_t size) {
  std::vector<float> got(size);
  group.receive(std::as_writable_bytes(std::span(got)), from, "activations");
  EXPECT_EQ(first_difference(got, message(from, group.rank(), number, size)), size)
      << "message " << number << " from " << from << " to " << group.rank();
}

void send_message(Communicator& group, int to, int number, std::size_t size) {
  const std::vector<float> bytes = message(group.rank(), to, number, size);
  group.send(std::as_bytes(std::span(bytes)), to, "activations");
}

TEST_P(OthersConformance, MessagesArriveInTheOrderSentWhateverTheirSizes) {
  run([](Communicator& group, Communicator&) {
    const int next = (group.rank() + 1) % group.size(), last = (group.rank() + group.size() - 1) % group.size();
    // Growing, shrinking and empty ones; each waits for none but those before the last two.
    const std::vector<std::size_t> sizes = {1, 0, 33, 65537, 257, 300007, 0, 65, 1200011, 1};
    for (std::size_t i = 0; i < sizes.size() + 2; ++i) {
      if (i >= 2) expect_message(group, last, static_cast<int>(i - 2), sizes[i - 2]);
      if (i < sizes.size()) send_message(group, next, static_cast<int>(i), sizes[i]);
    }
  });
}

// Nobody receives before everyone has sent, in both directions of each pair, several megabytes each.
TEST_P(OthersConformance, TwoWaitingMessagesOfAnySizeDoNotHoldUpTheirSender) {
  run([](Communicator& group, Communicator& side) {
    constexpr std::size_t kSize = 1100009;
    for (int other = 0; other < group.size(); ++other)
      for (int number = 0; number < Communicator::kWaitingMessages && other != group.rank(); ++number)
        send_message(group, other, number, kSize);
    side.barrier("all have sent");
    for (int other = 0; other < group.size(); ++other)
      for (int number = 0; number < Communicator::kWaitingMessages && other != group.rank(); ++number)
        expect_message(group, other, number, kSize);
  });
}

TEST_P(OthersConformance, MessagesAndCollectivesOfAGroupDoNotDisturbEachOther) {
  run([](Communicator& group, Communicator&) {
    for (int round = 0; round < 33; ++round) {
      if (group.rank() == 0) send_message(group, 1, round, 1025);
      double sum = 1;
      group.all_reduce(std::span(&sum, 1), ReduceOp::kSum, "loss");
      EXPECT_EQ(sum, group.size());
      if (group.rank() == 1) expect_message(group, 0, round, 1025);
    }
  });
}

// The text of the CommError that a call throws.
template <typename Call>
std::string comm_error(Call&& call) {
  try {
    call();
  } catch (const CommError& error) {
    return error.what();
  }
  return "no CommError";
}

#define EXPECT_TELLS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

TEST_P(OthersConformance, AMessageThatIsNeverSentIsToldWhenTheDeadlinePasses) {
  GetParam().run(kShort_s, [](Communicator& group, Communicator& side) {
    if (group.rank() == 0) {
      std::vector<std::byte> bytes(33);
      const std::string told = comm_error([&] { group.receive(bytes, 1, "activations"); });
      EXPECT_TELLS(told, "receive activations on rank 0 of the job");
      EXPECT_TELLS(told, "rank 1 sent nothing before the deadline");
      EXPECT_THROW(group.barrier("after the failure"), CommError);
    }
    side.barrier("end");
  });
}

TEST_P(OthersConformance, AMessageThatFindsNoRoomIsToldWhenTheDeadlinePasses) {
  GetParam().run(kShort_s, [](Communicator& group, Communicator& side) {
    if (group.rank() == 0) {
      const std::vector<std::byte> bytes(33);
      for (int number = 0; number < Communicator::kWaitingMessages; ++number) group.send(bytes, 1, "activations");
      const std::string told = comm_error([&] { group.send(bytes, 1, "activations"); });
      EXPECT_TELLS(told, "rank 1 took no message before the deadline");
    }
    side.barrier("end");
  });
}

TEST_P(OthersConformance, AMessageOfAnotherSizeIsAnErrorOfItsReceiver) {
  run([](Communicator& group, Communicator& side) {
    std::vector<std::byte> bytes(65);
    if (group.rank() == 0) group.send(std::span(bytes).first(33), 1, "activations");
    if (group.rank() == 1) {
      const std::string told = comm_error([&] { group.receive(bytes, 0, "activations"); });
      EXPECT_TELLS(told, "rank 0 sent 33 bytes where 65 were expected");
    }
    side.barrier("end");
  });
}

TEST_P(OthersConformance, ARankThatWaitsForAMessageLearnsThatItsPartnerFailed) {
  try {
    run([&](Communicator& group, Communicator&) {
      group.barrier("all here");
      if (group.rank() == 1) throw DataError("no more tokens");
      std::vector<std::byte> bytes(33);
      const auto began = std::chrono::steady_clock::now();
      EXPECT_THROW(group.receive(bytes, 1, "activations"), CommError);
      EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::duration<double>(kLong_s / 2));
    });
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "no more tokens");
  }
}

TEST_P(CommunicatorConformance, MessagesToNobodyAreRefused) {
  run([](Communicator& group, Communicator&) {
    std::vector<std::byte> bytes(33);
    EXPECT_THROW(group.send(bytes, group.rank(), "to itself"), InternalError);
    EXPECT_THROW(group.send(bytes, group.size(), "to nobody"), InternalError);
    EXPECT_THROW(group.receive(bytes, -1, "from nobody"), InternalError);
    EXPECT_NO_THROW(group.barrier("the group is still whole"));
  });
}

}  // namespace
}  // namespace stoa::parallel
