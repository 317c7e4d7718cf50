#include "stoa/trainer/optimizer/parameter_gathering.h"

namespace stoa::trainer {

using parallel::Slice;

ParameterGathering::ParameterGathering(const ParameterTable& table, const BucketPlan& plan, ModelParameters& parameters,
                                       parallel::Background& data)
    : table_(table), plan_(plan), parameters_(parameters), tickets_(plan.buckets.size(), 0), pending_(data) {
  for (const Bucket& bucket : plan.buckets) pieces_.push_back(pieces_of(bucket));
}

template <typename T>
ParameterGathering::Piece ParameterGathering::piece_of(const Bucket& bucket, std::span<T> flat, const Slice& slice) {
  std::vector<std::size_t> parts = bucket.part_elements(slice);
  for (std::size_t& part : parts) part *= sizeof(T);
  return {std::as_writable_bytes(flat.subspan(std::size_t(slice.begin), std::size_t(slice.size()))), std::move(parts)};
}

std::vector<ParameterGathering::Piece> ParameterGathering::pieces_of(const Bucket& bucket) {
  std::vector<Piece> pieces;
  if (plan_.zero == Zero::kNone || bucket.begin >= table_.elements) return pieces;
  const Slice all{bucket.begin, bucket.end};
  if (parameters_.copies().empty()) {
    pieces.push_back(piece_of(bucket, parameters_.masters(), all));
    return pieces;
  }
  for (const Slice& slice : within(wide_ranges(table_), all))
    pieces.push_back(piece_of(bucket, parameters_.masters(), slice));
  for (const Slice& slice : within(parameters_.ranges().copies, all))
    pieces.push_back(piece_of(bucket, parameters_.copies(), slice));
  return pieces;
}

void ParameterGathering::start() {
  for (std::size_t bucket = pieces_.size(); bucket-- > 0;)
    if (!pieces_[bucket].empty())
      tickets_[bucket] = pending_.start([&pieces = pieces_[bucket]](parallel::Communicator& data) {
        for (const Piece& piece : pieces) data.all_gather_parts(piece.bytes, piece.parts, "parameters");
      });
}

void ParameterGathering::await(std::size_t block) { pending_.wait(tickets_[plan_.bucket_of_block[block]]); }

}  // namespace stoa::trainer
