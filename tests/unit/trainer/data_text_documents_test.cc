#include "stoa/trainer/data/text_documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SplitDocuments, CutsAtLinesThatAreTheSeparator) {
  EXPECT_THAT(split_documents("one\n---\ntwo\nlines\n---\n", "---"), ElementsAre("one", "two\nlines"));
  EXPECT_THAT(split_documents("---\none", "---"), ElementsAre("one"));
}

TEST(SplitDocuments, ALineThatOnlyHasTheSeparatorInItDoesNotCut) {
  EXPECT_THAT(split_documents("one ---\n --- \n----\ntwo", "---"), ElementsAre("one ---\n --- \n----\ntwo"));
}

TEST(SplitDocuments, TakesWindowsLineEnds) {
  EXPECT_THAT(split_documents("one\r\n---\r\ntwo\r\nlines\r\n", "---"), ElementsAre("one", "two\r\nlines"));
}

TEST(SplitDocuments, DropsLineEndsAroundADocumentAndKeepsSpaces) {
  EXPECT_THAT(split_documents("\n\n  one\n\n  two \n\n---\n", "---"), ElementsAre("  one\n\n  two "));
}

TEST(SplitDocuments, SkipsEmptyDocuments) {
  EXPECT_THAT(split_documents("---\n\n---\n---\n\r\n", "---"), IsEmpty());
  EXPECT_THAT(split_documents("", "---"), IsEmpty());
}

TEST(SplitDocuments, AnEmptySeparatorIsABlankLine) {
  EXPECT_THAT(split_documents("one\nmore\n\n\ntwo\n", ""), ElementsAre("one\nmore", "two"));
}

TEST(SplitDocuments, KeepsBytesThatAreNoText) {
  const std::string text("\xFF\0\xC3\n---\nx", 9);
  EXPECT_THAT(split_documents(text, "---"), ElementsAre(std::string_view("\xFF\0\xC3", 3), "x"));
}

TEST(TextDocuments, EachFileStartsADocument) {
  const ScratchFolder folder;
  write_bytes(folder / "a", "one\n---\ntwo");
  write_bytes(folder / "b", "three");
  write_bytes(folder / "empty", "");
  const std::vector<std::string> paths = {folder / "a", folder / "empty", folder / "b"};
  const TextDocuments text(paths, "---");
  EXPECT_THAT(text.documents(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(text.bytes(), 16);
}

TEST(TextDocuments, NamesTheMissingFile) {
  const std::vector<std::string> paths = {"/nowhere/a.txt"};
  EXPECT_THAT(message_of<DataError>([&] { const TextDocuments text(paths, "---"); }),
              HasSubstr("/nowhere/a.txt: no such"));
}

}  // namespace
}  // namespace stoa::trainer
