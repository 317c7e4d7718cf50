#include "stoa/trainer/interchange/weights_out.h"

#include <algorithm>
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
constexpr std::int64_t kTransposedBlock = std::int64_t{16} << 20;

checkpoint::PieceToLoad piece_of(const ForeignTensor::Part& part, parallel::Box box, std::span<float> into) {
  return {{"parameters/" + part.parameter, checkpoint::DType::kFloat32, part.shape}, std::move(box), into};
}

/// One file's tensors.
class Export {
 public:
  Export(checkpoint::CheckpointReader& checkpoint, FloatType dtype, checkpoint::SafetensorsWriter& file,
         const std::function<void(std::int64_t)>& done)
      : checkpoint_(checkpoint), dtype_(dtype), file_(file), done_(done) {}

  void write(const ForeignTensor& tensor) {
    if (tensor.storage == Storage::kTransposed) return write_transposed(tensor);
    for (const ForeignTensor::Part& part : tensor.parts) write_plain(part);
  }

 private:
  void write_plain(const ForeignTensor::Part& part) {
    parallel::Box box = parallel::whole_box(part.shape);
    const std::int64_t row = box.elements() / part.shape[0];
    const std::int64_t rows = std::max<std::int64_t>(1, kPlainBlock / row);
    for (std::int64_t begin = 0; begin < part.shape[0]; begin += rows) {
      box.begin[0] = begin;
      box.size[0] = std::min(rows, part.shape[0] - begin);
      const auto block = first_of(block_, box.elements());
      checkpoint_.read(piece_of(part, box, block));
      append(block);
    }
  }

  /// Block by block of input columns, each of all outputs.
  void write_transposed(const ForeignTensor& tensor) {
    const std::int64_t inputs = tensor.shape[0], outputs = tensor.shape[1];
    const std::int64_t columns = std::max<std::int64_t>(1, kTransposedBlock / outputs);
    for (std::int64_t begin = 0; begin < inputs; begin += columns) {
      const std::int64_t count = std::min(columns, inputs - begin);
      const auto block = first_of(block_, count * outputs);
      std::int64_t output = 0;
      for (const ForeignTensor::Part& part : tensor.parts) {
        const std::int64_t rows = part.shape[0];
        const auto values = first_of(part_, rows * count);
        checkpoint_.read(piece_of(part, {{0, begin}, {rows, count}}, values));
        transpose({values.data(), rows, count, count}, block.data() + output, outputs);
        output += rows;
      }
      append(block);
    }
  }

  static std::span<float> first_of(std::vector<float>& memory, std::int64_t elements) {
    if (std::ssize(memory) < elements) memory.resize(static_cast<std::size_t>(elements));
    return std::span(memory).first(static_cast<std::size_t>(elements));
  }

  void append(std::span<const float> block) {
    if (dtype_ == FloatType::kF32) {
      file_.append(std::as_bytes(block));
    } else {
      encoded_.resize(block.size() * static_cast<std::size_t>(checkpoint::float_type_bytes(dtype_)));
      checkpoint::encode_floats(dtype_, block, encoded_);
      file_.append(encoded_);
    }
    done_(std::ssize(block));
  }

  checkpoint::CheckpointReader& checkpoint_;
  FloatType dtype_;
  checkpoint::SafetensorsWriter& file_;
  const std::function<void(std::int64_t)>& done_;
  std::vector<float> block_;
  std::vector<float> part_;
  std::vector<std::byte> encoded_;
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
    Export weights(checkpoint, out.dtype, file, done);
    for (const checkpoint::SafetensorsEntry& entry : shard.entries) weights.write(*by_name.at(entry.name));
    file.finish();
  }
  if (shards.size() > 1)
    write_file_durably(out.folder / "model.safetensors.index.json",
                       checkpoint::safetensors_index(shards).dump(2) + "\n");
  return {written * checkpoint::float_type_bytes(out.dtype), std::ssize(shards)};
}

}  // namespace stoa::trainer
