#include "stoa/trainer/interchange/weights_in.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "stoa/base/error.h"
#include "stoa/checkpoint/safetensors_values.h"
#include "stoa/checkpoint/tensor_json.h"
#include "stoa/trainer/interchange/transpose.h"

namespace stoa::trainer {
namespace {

/// Elements of a piece at most.
constexpr std::int64_t kPieceElements = std::int64_t{8} << 20;
constexpr std::int64_t kCompareElements = std::int64_t{1} << 20;

checkpoint::GlobalTensor global(const ForeignTensor::Part& part) {
  return {"parameters/" + part.parameter, checkpoint::DType::kFloat32, part.shape};
}

void require_tied(const checkpoint::SafetensorsModel::Tensor& head,
                  const checkpoint::SafetensorsModel::Tensor& embedding) {
  bool same = head.entry->shape == embedding.entry->shape;
  std::vector<float> a(kCompareElements), b(kCompareElements);
  const std::int64_t elements = head.entry->elements();
  for (std::int64_t first = 0; same && first < elements; first += kCompareElements) {
    const auto count = static_cast<std::size_t>(std::min(kCompareElements, elements - first));
    head.file->read(*head.entry, first, std::span(a).first(count));
    embedding.file->read(*embedding.entry, first, std::span(b).first(count));
    same = std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
  }
  if (!same)
    throw DataError("{}: tensor '{}' is not '{}', but config.json ties them", head.file->path().string(),
                    head.entry->name, embedding.entry->name);
}

}  // namespace

WeightsIn::WeightsIn(const checkpoint::SafetensorsModel& files, const ModelSettings& model) {
  const std::string_view prefix = foreign_prefix(model);
  const auto& tensors = files.tensors();
  std::set<std::string_view> used;
  for (ForeignTensor& tensor : foreign_tensors(model)) {
    auto found = tensors.find(tensor.name);
    if (found == tensors.end() && tensor.name.starts_with(prefix))
      found = tensors.find(std::string_view(tensor.name).substr(prefix.size()));
    if (found == tensors.end()) throw DataError("tensor '{}' is in no file, but config.json asks for it", tensor.name);
    const checkpoint::SafetensorsEntry& entry = *found->second.entry;
    const std::string place = found->second.file->path().string();
    if (entry.shape != tensor.shape)
      throw DataError("{}: tensor '{}' has shape {}, but config.json asks for {}", place, entry.name,
                      checkpoint::describe_shape(entry.shape), checkpoint::describe_shape(tensor.shape));
    if (!checkpoint::float_type_named(entry.dtype))
      throw DataError("{}: tensor '{}' is {}; F32, BF16 and F16 are read", place, entry.name, entry.dtype);
    used.insert(found->first);
    elements_ += entry.elements();
    sources_.push_back({std::move(tensor), found->second});
  }
  for (const auto& [name, stored] : tensors) {
    if (used.contains(name) || is_foreign_constant(name)) continue;
    if (name != kForeignHead || !model.tied_embedding.value_or(false))
      throw DataError("{}: tensor '{}' is none of a {} as config.json describes it", stored.file->path().string(), name,
                      architecture_name(model));
    require_tied(stored, sources_[0].stored);
  }
}

std::vector<checkpoint::PieceToProduce> WeightsIn::pieces(std::function<void(double)> progress) {
  progress_ = std::move(progress);
  made_ = 0;
  std::vector<checkpoint::PieceToProduce> pieces;
  for (const Source& source : sources_)
    source.tensor.storage == Storage::kTransposed ? add_transposed(source, pieces) : add_plain(source, pieces);
  return pieces;
}

void WeightsIn::add_plain(const Source& source, std::vector<checkpoint::PieceToProduce>& pieces) {
  std::int64_t first = 0;
  for (const ForeignTensor::Part& part : source.tensor.parts) {
    parallel::Box box = parallel::whole_box(part.shape);
    const std::int64_t row = box.elements() / part.shape[0];
    const std::int64_t rows = std::max<std::int64_t>(1, kPieceElements / row);
    for (std::int64_t begin = 0; begin < part.shape[0]; begin += rows) {
      box.begin[0] = begin;
      box.size[0] = std::min(rows, part.shape[0] - begin);
      const std::int64_t at = first + begin * row;
      pieces.push_back({global(part), box, [this, &source, at](std::span<float> into) {
                          source.stored.file->read(*source.stored.entry, at, into);
                          count(std::ssize(into));
                        }});
    }
    first += part.shape[0] * row;
  }
}

void WeightsIn::add_transposed(const Source& source, std::vector<checkpoint::PieceToProduce>& pieces) {
  const std::int64_t inputs = source.tensor.shape[0], outputs = source.tensor.shape[1];
  const std::int64_t columns = std::max<std::int64_t>(1, kPieceElements / outputs);
  for (std::int64_t begin = 0; begin < inputs; begin += columns) {
    const std::int64_t wide = std::min(columns, inputs - begin);
    std::int64_t output = 0;
    for (const ForeignTensor::Part& part : source.tensor.parts) {
      const std::int64_t rows = part.shape[0];
      pieces.push_back({global(part),
                        {{0, begin}, {rows, wide}},
                        [this, &source, begin, wide, output, rows, outputs](std::span<float> into) {
                          const auto values = slab(source, begin, wide);
                          transpose({values.data() + output, wide, rows, outputs}, into.data(), wide);
                          count(std::ssize(into));
                        }});
      output += rows;
    }
  }
}

std::span<const float> WeightsIn::slab(const Source& source, std::int64_t first_row, std::int64_t rows) {
  const auto elements = static_cast<std::size_t>(rows * source.tensor.shape[1]);
  if (slab_source_ != &source || slab_row_ != first_row) {
    slab_source_ = nullptr;
    if (slab_.size() < elements) slab_.resize(elements);
    source.stored.file->read(*source.stored.entry, first_row * source.tensor.shape[1],
                             std::span(slab_).first(elements));
    slab_source_ = &source;
    slab_row_ = first_row;
  }
  return std::span(slab_).first(elements);
}

void WeightsIn::count(std::int64_t elements) {
  made_ += elements;
  if (progress_) progress_(static_cast<double>(made_) / static_cast<double>(elements_));
}

}  // namespace stoa::trainer
