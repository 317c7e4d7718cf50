#include "stoa/parallel/mpi_mail.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
constexpr auto kSlots = static_cast<std::size_t>(Communicator::kWaitingMessages);

}  // namespace

struct MpiMail::Outgoing {
  std::uint64_t size = 0;
  std::vector<std::byte> bytes;
  std::vector<MPI_Request> requests;
};

struct MpiMail::Incoming {
  std::uint64_t size = 0;
  std::array<std::vector<std::byte>, 2> chunks;
  std::array<MPI_Request, 2> requests{MPI_REQUEST_NULL, MPI_REQUEST_NULL};
};

struct MpiMail::Partner {
  std::array<Outgoing, kSlots> outgoing;
  std::size_t sent = 0;
  Incoming incoming;
};

MpiMail::MpiMail(MpiGroup& group) : group_(group), partners_(static_cast<std::size_t>(group.size())) {}

MpiMail::~MpiMail() {
  for (auto& partner : partners_) {
    if (!partner) continue;
    bool over = !group_.failed();
    for (Outgoing& message : partner->outgoing) {
      int done = 0;
      MPI_Testall(static_cast<int>(message.requests.size()), message.requests.data(), &done, MPI_STATUSES_IGNORE);
      over = over && done != 0;
    }
    if (!over) static_cast<void>(partner.release());
  }
}

MpiMail::Partner& MpiMail::partner(int rank) {
  auto& partner = partners_[static_cast<std::size_t>(rank)];
  if (!partner) partner = std::make_unique<Partner>();
  return *partner;
}

void MpiMail::send(std::span<const std::byte> bytes, int to, TimePoint deadline) {
  Partner& partner = this->partner(to);
  Outgoing& message = partner.outgoing[partner.sent++ % kSlots];
  for (MPI_Request& request : message.requests)
    group_.await_message(request, deadline,
                         fmt::format("rank {} took no message before the deadline", group_.member(to)));
  message.size = bytes.size();
  message.bytes.assign(bytes.begin(), bytes.end());
  message.requests.assign(1 + (bytes.size() + kChunkBytes - 1) / kChunkBytes, MPI_REQUEST_NULL);
  check_mpi(MPI_Issend(&message.size, sizeof message.size, MPI_BYTE, to, MpiGroup::kMailTag, group_.communicator(),
                       message.requests.data()),
            "MPI_Issend");
  for (std::size_t at = 0; at < bytes.size(); at += kChunkBytes)
    check_mpi(MPI_Isend(message.bytes.data() + at, static_cast<int>(std::min(kChunkBytes, bytes.size() - at)), MPI_BYTE,
                        to, MpiGroup::kMailTag, group_.communicator(), &message.requests[1 + at / kChunkBytes]),
              "MPI_Isend");
}

void MpiMail::receive_chunk(Partner& from, std::size_t place, std::size_t size, int rank) {
  from.incoming.chunks[place].resize(std::max(size, from.incoming.chunks[place].size()));
  check_mpi(MPI_Irecv(from.incoming.chunks[place].data(), static_cast<int>(size), MPI_BYTE, rank, MpiGroup::kMailTag,
                      group_.communicator(), &from.incoming.requests[place]),
            "MPI_Irecv");
}

// One chunk arrives while the one before it is copied.
void MpiMail::receive(std::span<std::byte> bytes, int from, TimePoint deadline) {
  Partner& partner = this->partner(from);
  auto& [size, chunks, requests] = partner.incoming;
  const std::string late = fmt::format("rank {} sent nothing before the deadline", group_.member(from));
  check_mpi(MPI_Irecv(&size, sizeof size, MPI_BYTE, from, MpiGroup::kMailTag, group_.communicator(), requests.data()),
            "MPI_Irecv");
  group_.await_message(requests[0], deadline, late);
  if (size != bytes.size())
    group_.fail(fmt::format("rank {} sent {} bytes where {} were expected", group_.member(from), size, bytes.size()));
  const auto chunk = [&](std::size_t at) { return std::min(kChunkBytes, bytes.size() - at); };
  if (size > 0) receive_chunk(partner, 0, chunk(0), from);
  for (std::size_t at = 0, place = 0; at < bytes.size(); at += kChunkBytes, place = 1 - place) {
    group_.await_message(requests[place], deadline, late);
    const std::size_t next = at + kChunkBytes;
    if (next < bytes.size()) receive_chunk(partner, 1 - place, chunk(next), from);
    std::memcpy(bytes.data() + at, chunks[place].data(), chunk(at));
  }
}

}  // namespace stoa::parallel
