#pragma once
/// A model's safetensors files: one, or several with model.safetensors.index.json. Bytes are read by offset, a range at
/// a time; nothing is mapped and nothing is kept.
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/safetensors_header.h"

namespace stoa::checkpoint {

class SafetensorsFile {
 public:
  /// DataError where the file is missing, no regular file, or its header is not right; StorageError where it cannot be
  /// read.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// In order of their offsets.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }

  /// `values.size()` elements of the entry from element `first` on, as fp32. DataError for a dtype other than F32, BF16
  /// and F16. REQUIRES: the entry is of this file and has that many.
  void read(const SafetensorsEntry& entry, std::int64_t first, std::span<float> values) const;

 private:
  std::filesystem::path path_;
  FileDescriptor fd_;
  std::vector<SafetensorsEntry> entries_;
  std::int64_t data_offset_ = 0;
};

/// The tensors of FOLDER/model.safetensors, or without it of the files that FOLDER/model.safetensors.index.json names,
/// as transformers chooses: DataError where neither is there, or where index and files do not say the same, naming the
/// tensor.
class SafetensorsModel {
 public:
  explicit SafetensorsModel(const std::filesystem::path& folder);

  struct Tensor {
    const SafetensorsFile* file;
    const SafetensorsEntry* entry;
  };
  /// By name.
  const std::map<std::string_view, Tensor>& tensors() const { return tensors_; }

 private:
  void read_index(const std::filesystem::path& index);

  std::vector<SafetensorsFile> files_;
  std::map<std::string_view, Tensor> tensors_;
};

}  // namespace stoa::checkpoint
