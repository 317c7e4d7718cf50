#pragma once
/// The documents of text files. A line that is exactly the separator (a carriage return before its newline aside)
/// stands between two documents. Line ends at both ends of a document do not belong to it, everything else does, byte
/// for byte; a document with nothing left is none.
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/durable_file.h"

namespace stoa::trainer {

std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator);

/// Mapped files and views of their documents, which live as long as this. A missing file is a DataError that names it.
class TextDocuments {
 public:
  TextDocuments(std::span<const std::string> paths, std::string_view separator);
  std::span<const std::string_view> documents() const { return documents_; }
  /// Of the files, with separators.
  std::int64_t bytes() const { return bytes_; }

 private:
  std::vector<MappedFile> files_;
  std::vector<std::string_view> documents_;
  std::int64_t bytes_ = 0;
};

}  // namespace stoa::trainer
