#include "stoa/trainer/model/tensor_rows.h"

#include <utility>

namespace stoa::trainer {

TensorRows::TensorRows(std::unique_ptr<parallel::Communicator> group) {
  if (group == nullptr || group->size() == 1) return;
  parts_ = group->size();
  index_ = group->rank();
  group_ = std::make_unique<parallel::Background>(std::move(group));
  pending_.emplace(*group_);
}

std::span<std::byte> TensorRows::allocate(std::size_t bytes, std::string_view what) {
  memory_ = group_->group().allocate(bytes, what);
  return memory_->bytes();
}

std::vector<std::size_t> TensorRows::sizes(std::int64_t rows, std::size_t size_of_row) const {
  std::vector<std::size_t> sizes;
  for (int part = 0; part < parts_; ++part)
    sizes.push_back(std::size_t(parallel::balanced_slice(rows, parts_, part).size()) * size_of_row);
  return sizes;
}

TensorRows::Ticket TensorRows::start_gather_bytes(std::span<std::byte> all, std::int64_t rows, std::string_view what) {
  if (!cut()) return 0;
  return pending_->start([all, what, parts = sizes(rows, all.size() / std::size_t(rows))](
                             parallel::Communicator& ranks) { ranks.all_gather_parts(all, parts, what); });
}

TensorRows::Ticket TensorRows::start_scatter(std::span<float> terms_nc, std::int64_t rows, std::string_view what) {
  if (!cut()) return 0;
  const std::size_t columns = terms_nc.size() / std::size_t(rows);
  const parallel::Slice mine = slice(rows);
  const auto own = terms_nc.subspan(std::size_t(mine.begin) * columns, std::size_t(mine.size()) * columns);
  return pending_->start([terms_nc, own, what, parts = sizes(rows, columns)](parallel::Communicator& ranks) {
    ranks.reduce_scatter(terms_nc, parts, own, what);
  });
}

void TensorRows::gather_equal_bytes(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what) {
  wait(pending_->start([=](parallel::Communicator& ranks) { ranks.all_gather(mine, all, what); }));
}

void TensorRows::wait(Ticket ticket) {
  if (pending_) pending_->wait(ticket);
}

}  // namespace stoa::trainer
