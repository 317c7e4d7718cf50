#include "stoa/trainer/interchange/weights_out.h"

#include <algorithm>
#include <future>
#include <map>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/safetensors_index.h"
#include "stoa/checkpoint/safetensors_writer.h"
#include "stoa/trainer/interchange/foreign_tensors.h"
#include "stoa/trainer/interchange/transpose.h"

namespace stoa::trainer {
namespace {

using checkpoint::FloatType;

/// Elements of a block that is read as it stands.
constexpr std::int64_t kPlainBlock = std::int64_t{2} << 20;
/// Of a transposed one, which reads the whole tensor: larger, so that all but the largest are read once.
constexpr std::int64_t kTransposedBlock = std::int64_t{8} << 20;

/// Writes blocks of values on a second thread while the next one is filled.
class BlockWriter {
 public:
  explicit BlockWriter(FloatType dtype) : dtype_(dtype) {}

  void begin(checkpoint::SafetensorsWriter& file) { file_ = &file; }
  /// Memory for the next block, until it is handed on.
  std::span<float> block(std::int64_t elements) {
    std::vector<float>& buffer = buffers_[next_];
    if (std::ssize(buffer) < elements) buffer.resize(static_cast<std::size_t>(elements));
    return std::span(buffer).first(static_cast<std::size_t>(elements));
  }
  void hand_on(std::span<const float> block) {
    wait();
    pending_ = std::async(std::launch::async, [this, block] { write(block); });
    next_ = 1 - next_;
  }
  void wait() {
    if (pending_.valid()) pending_.get();
  }

 private:
  void write(std::span<const float> block) {
    if (dtype_ == FloatType::kF32) return file_->append(std::as_bytes(block));
    encoded_.resize(block.size() * static_cast<std::size_t>(checkpoint::float_type_bytes(dtype_)));
    checkpoint::encode_floats(dtype_, block, encoded_);
    file_->append(encoded_);
  }

  FloatType dtype_;
  checkpoint::SafetensorsWriter* file_ = nullptr;
  std::vector<float> buffers_[2];
  std::vector<std::byte> encoded_;
  std::size_t next_ = 0;
  std::future<void> pending_;  // last: its destructor waits, and the thread uses the others
};

checkpoint::PieceToLoad piece_of(const ForeignTensor::Part& part, parallel::Box box, std::span<float> into) {
  return {{"parameters/" + part.parameter, checkpoint::DType::kFloat32, part.shape}, std::move(box), into};
}

class Export {
 public:
  Export(checkpoint::CheckpointReader& checkpoint, FloatType dtype, const std::function<void(std::int64_t)>& done)
      : checkpoint_(checkpoint), writer_(dtype), done_(done) {}

  void begin(checkpoint::SafetensorsWriter& file) { writer_.begin(file); }
  void write(const ForeignTensor& tensor) {
    if (tensor.storage == Storage::kTransposed) return write_transposed(tensor);
    for (const ForeignTensor::Part& part : tensor.parts) write_plain(part);
  }
  void end() { writer_.wait(); }

 private:
  void write_plain(const ForeignTensor::Part& part) {
    parallel::Box box = parallel::whole_box(part.shape);
    const std::int64_t row = box.elements() / part.shape[0];
    const std::int64_t rows = std::max<std::int64_t>(1, kPlainBlock / row);
    for (std::int64_t begin = 0; begin < part.shape[0]; begin += rows) {
      box.begin[0] = begin;
      box.size[0] = std::min(rows, part.shape[0] - begin);
      const auto block = writer_.block(box.elements());
      checkpoint_.read(piece_of(part, box, block));
      hand_on(block);
    }
  }

  /// Block by block of input columns, each of all outputs.
  void write_transposed(const ForeignTensor& tensor) {
    const std::int64_t inputs = tensor.shape[0], outputs = tensor.shape[1];
    const std::int64_t columns = std::max<std::int64_t>(1, kTransposedBlock / outputs);
    for (std::int64_t begin = 0; begin < inputs; begin += columns) {
      const std::int64_t count = std::min(columns, inputs - begin);
      const auto block = writer_.block(count * outputs);
      std::int64_t output = 0;
      for (const ForeignTensor::Part& part : tensor.parts) {
        const std::int64_t rows = part.shape[0];
        part_.resize(static_cast<std::size_t>(rows * count));
        checkpoint_.read(piece_of(part, {{0, begin}, {rows, count}}, part_));
        transpose({part_.data(), rows, count, count}, block.data() + output, outputs);
        output += rows;
      }
      hand_on(block);
    }
  }

  void hand_on(std::span<const float> block) {
    writer_.hand_on(block);
    done_(std::ssize(block));
  }

  checkpoint::CheckpointReader& checkpoint_;
  BlockWriter writer_;
  const std::function<void(std::int64_t)>& done_;
  std::vector<float> part_;
};

}  // namespace

WeightsWritten write_weights(checkpoint::CheckpointReader& checkpoint, const ModelSettings& model,
                             const WeightsOut& out) {
  const std::vector<ForeignTensor> tensors = foreign_tensors(model);
  std::vector<checkpoint::SafetensorsEntry> entries;
  for (const ForeignTensor& tensor : tensors)
    entries.push_back({tensor.name, std::string(checkpoint::safetensors_name(out.dtype)), tensor.shape});
  const auto shards = checkpoint::cut_into_shards(std::move(entries), out.shard_bytes);

  const auto elements = static_cast<double>(parameter_count(model));
  std::int64_t written = 0;
  const std::function<void(std::int64_t)> done = [&](std::int64_t count) {
    written += count;
    if (out.progress) out.progress(static_cast<double>(written) / elements);
  };
  std::map<std::string_view, const ForeignTensor*> by_name;  // cutting into files may change the order
  for (const ForeignTensor& tensor : tensors) by_name.emplace(tensor.name, &tensor);
  for (const checkpoint::SafetensorsShard& shard : shards) {
    checkpoint::SafetensorsWriter file(out.folder / shard.file, shard.entries);
    Export weights(checkpoint, out.dtype, done);
    weights.begin(file);
    for (const checkpoint::SafetensorsEntry& entry : shard.entries) weights.write(*by_name.at(entry.name));
    weights.end();
    file.finish();
  }
  if (shards.size() > 1)
    write_file_durably(out.folder / "model.safetensors.index.json",
                       checkpoint::safetensors_index(shards).dump(2) + "\n");
  return {written * checkpoint::float_type_bytes(out.dtype), std::ssize(shards)};
}

}  // namespace stoa::trainer
