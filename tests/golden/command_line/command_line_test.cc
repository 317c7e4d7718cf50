/// What stoa prints, word by word, against text/*.txt. `tests/golden/command_line/regenerate` writes the files anew.
#include "stoa/launcher/command_line.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>

#include "stoa/base/durable_file.h"

namespace stoa::launcher {
namespace {

/// Exit code, standard output and standard error, as one text.
std::string transcript(const std::vector<std::string>& words) {
  char* texts[2] = {};
  std::size_t sizes[2] = {};
  const Streams streams{.out = ::open_memstream(&texts[0], &sizes[0]), .err = ::open_memstream(&texts[1], &sizes[1])};
  const int code = run_command_line(words, streams);
  std::fclose(streams.out);
  std::fclose(streams.err);
  std::string text = "$ stoa";
  for (const std::string& word : words) text += " " + word;
  text += "\n" + std::string(texts[0], sizes[0]) + std::string(texts[1], sizes[1]) + "exit code " +
          std::to_string(code) + "\n";
  std::free(texts[0]);
  std::free(texts[1]);
  return text;
}

struct Case {
  const char* file;
  std::vector<std::string> words;
};

const Case kCases[] = {
    {"help.txt", {"--help"}},
    {"version.txt", {"--version"}},
    {"validate_help.txt", {"validate", "--help"}},
    {"plan_help.txt", {"plan", "--help"}},
    {"verify_help.txt", {"verify", "--help"}},
    {"run_help.txt", {"run", "--help"}},
    {"eval_help.txt", {"eval", "--help"}},
    {"sample_help.txt", {"sample", "--help"}},
    {"export_help.txt", {"export", "--help"}},
    {"import_help.txt", {"import", "--help"}},
    {"export_nothing.txt", {"export", "configs/quickstart.yaml", "--to", "gguf", "--out", "x"}},
    {"report_help.txt", {"report", "--help"}},
    {"checkpoint_help.txt", {"checkpoint", "--help"}},
    {"checkpoint_list_help.txt", {"checkpoint", "list", "--help"}},
    {"checkpoint_show_help.txt", {"checkpoint", "show", "--help"}},
    {"checkpoint_verify_help.txt", {"checkpoint", "verify", "--help"}},
    {"checkpoint_diff_help.txt", {"checkpoint", "diff", "--help"}},
    {"checkpoint_prune_help.txt", {"checkpoint", "prune", "--help"}},
    {"checkpoint_copy_help.txt", {"checkpoint", "copy", "--help"}},
    {"checkpoint_index_help.txt", {"checkpoint", "index", "--help"}},
    {"checkpoint_no_run.txt", {"checkpoint", "verify", "runs/nowhere"}},
    {"checkpoint_keep_best.txt",
     {"validate", "configs/quickstart.yaml", "checkpoint.keep_best=2", "evaluation.every_steps=0"}},
    {"data_help.txt", {"data", "--help"}},
    {"data_describe_help.txt", {"data", "describe", "--help"}},
    {"data_prepare_help.txt", {"data", "prepare", "--help"}},
    {"data_inspect_help.txt", {"data", "inspect", "--help"}},
    {"data_verify_help.txt", {"data", "verify", "--help"}},
    {"data_stats_help.txt", {"data", "stats", "--help"}},
    {"data_merge_help.txt", {"data", "merge", "--help"}},
    {"data_split_help.txt", {"data", "split", "--help"}},
    {"data_curate_help.txt", {"data", "curate", "--help"}},
    {"tokenizer_help.txt", {"tokenizer", "--help"}},
    {"tokenizer_train_help.txt", {"tokenizer", "train", "--help"}},
    {"tokenizer_encode_help.txt", {"tokenizer", "encode", "--help"}},
    {"tokenizer_decode_help.txt", {"tokenizer", "decode", "--help"}},
    {"tokenizer_show_help.txt", {"tokenizer", "show", "--help"}},
    {"completion_help.txt", {"completion", "--help"}},
    {"completion_bash.txt", {"completion", "bash"}},
    {"completion_zsh.txt", {"completion", "zsh"}},
    {"completion_fish.txt", {"completion", "fish"}},
    {"no_command.txt", {}},
    {"wrong_command.txt", {"rnu", "configs/quickstart.yaml"}},
    {"wrong_option.txt", {"plan", "configs/quickstart.yaml", "--utilization", "0.3"}},
    {"wrong_value.txt", {"plan", "configs/quickstart.yaml", "--utilisation", "40"}},
    {"no_file.txt", {"run", "configs/quickstat.yaml"}},
    {"wrong_override.txt", {"validate", "configs/quickstart.yaml", "training.step=3"}},
    {"validate_gpt2.txt", {"validate", "configs/gpt2_124m.yaml", "--without-data"}},
    {"validate_no_data.txt", {"validate", "configs/llama_7b.yaml"}},
    {"plan_gpt2.txt", {"plan", "configs/gpt2_124m.yaml"}},
    {"plan_quickstart.txt", {"plan", "configs/quickstart.yaml", "training.precision=fp32", "--peak-gflops", "250"}},
    {"plan_memory.txt", {"plan", "configs/gpt2_124m.yaml", "training.deterministic=true", "--memory"}},
    {"plan_mesh.txt",
     {"plan", "configs/llama_7b.yaml", "parallel.data=16", "parallel.pipeline=4", "parallel.tensor=2",
      "parallel.zero=1", "parallel.schedule=interleaved", "parallel.chunks_per_stage=2", "--memory", "--rank", "5"}},
    {"plan_no_such_rank.txt", {"plan", "configs/gpt2_124m.yaml", "--memory", "--rank", "8"}},
    {"plan_too_large.txt", {"plan", "configs/llama_70b.yaml"}},
    {"no_run.txt", {"report", "runs/nowhere"}},
};

class CommandLineText : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { std::filesystem::current_path(STOA_SOURCE_DIRECTORY); }
};

TEST_P(CommandLineText, IsAsWritten) {
  const std::filesystem::path file =
      std::filesystem::path(STOA_SOURCE_DIRECTORY) / "tests/golden/command_line/text" / GetParam().file;
  const std::string text = transcript(GetParam().words);
  if (std::getenv("STOA_REGENERATE_GOLDEN") != nullptr) write_file_durably(file, text);
  EXPECT_EQ(text, read_text_file(file));
}

std::string stem(const testing::TestParamInfo<Case>& tested) { return std::filesystem::path(tested.param.file).stem(); }

INSTANTIATE_TEST_SUITE_P(All, CommandLineText, testing::ValuesIn(kCases), stem);

}  // namespace
}  // namespace stoa::launcher
