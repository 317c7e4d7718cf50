#include "stoa/base/log.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/data_sets.h"

namespace stoa::launcher {
namespace {

void add_prefix(CLI::App& app, std::string& prefix) {
  app.add_option("PREFIX", prefix, "The data set PREFIX.bin and PREFIX.idx")->required()->type_name("");
}

void add_tokenizer(CLI::App& app, std::string& tokenizer, const char* what) {
  app.add_option("--tokenizer", tokenizer, what)->type_name("FILE");
}

void add_replace(CLI::App& app, Existing& existing) {
  app.add_flag_callback(
      "--replace", [&existing] { existing = Existing::kReplaced; }, "Replace what has the name already");
}

class DataInspect final : public Command {
 public:
  explicit DataInspect(CLI::App& data) : Command(data.add_subcommand("inspect", "Say what a data set is")) {
    add_prefix(app(), options_.prefix);
    add_tokenizer(app(), options_.tokenizer, "Show documents as text: the beginnings of the first ones");
    app().add_option("--document", options_.document, "Show this one, counted from 0, whole")->type_name("N");
    add_format(app(), options_.format);
  }
  int run(const Streams& streams) override { return run_data_inspect(options_, streams.out); }

 private:
  InspectOptions options_;
};

class DataVerify final : public Command {
 public:
  explicit DataVerify(CLI::App& data)
      : Command(data.add_subcommand("verify", "Read data sets through: structure, checksums and tokens")) {
    app()
        .add_option("PREFIX", options_.prefixes, "Data sets PREFIX.bin and PREFIX.idx")
        ->required()
        ->type_name("")
        ->expected(1, -1);
    add_tokenizer(app(), options_.tokenizer, "Every token must be one of this tokenizer's");
    app()
        .add_option("--vocabulary", options_.vocabulary, "Every token must be one of 0 to N - 1")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 31))
        ->excludes("--tokenizer");
    add_threads(app(), options_.threads);
    add_format(app(), options_.format);
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_data_verify(options_, streams.out, log);
  }

 private:
  VerifyOptions options_;
};

class DataStats final : public Command {
 public:
  explicit DataStats(CLI::App& data)
      : Command(data.add_subcommand("stats", "Lengths, tokens and copies of the documents of a data set")) {
    add_prefix(app(), options_.prefix);
    add_tokenizer(app(), options_.tokenizer, "Show tokens as text, and the share of end-of-text");
    app()
        .add_option("--most-frequent", options_.most_frequent, "How many of the most frequent tokens to list")
        ->type_name("N")
        ->check(CLI::Range(0, 1 << 22))
        ->capture_default_str();
    add_threads(app(), options_.threads);
    add_format(app(), options_.format);
  }
  int run(const Streams& streams) override { return run_data_stats(options_, streams.out); }

 private:
  StatsOptions options_;
};

class DataMerge final : public Command {
 public:
  explicit DataMerge(CLI::App& data)
      : Command(data.add_subcommand("merge", "Make one data set of several, documents and sequences as they are")) {
    app()
        .add_option("PREFIX", options_.inputs, "The data sets, in the order in which they follow each other")
        ->required()
        ->type_name("")
        ->expected(1, -1);
    app().add_option("--out", options_.out, "Makes OUT.bin and OUT.idx")->required()->type_name("OUT");
    add_replace(app(), options_.existing);
    add_threads(app(), options_.threads);
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_data_merge(options_, streams.out, log);
  }

 private:
  MergeOptions options_;
};

class DataSplit final : public Command {
 public:
  explicit DataSplit(CLI::App& data)
      : Command(data.add_subcommand("split", "Cut a data set between documents, in order, into several")) {
    add_prefix(app(), options_.input);
    app().add_option("--out", options_.out, "Makes OUT-00000-of-0000N and so on")->required()->type_name("OUT");
    app()
        .add_option("--parts", options_.parts, "So many parts of about as many tokens")
        ->type_name("N")
        ->check(CLI::Range(1, 99999));
    app()
        .add_option("--documents-each", options_.documents_each, "Parts of so many documents")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 62));
    app()
        .add_option("--fractions", options_.fractions, "Parts of these shares of the tokens: 0.98,0.01,0.01")
        ->type_name("A,B,...")
        ->delimiter(',');
    add_replace(app(), options_.existing);
    add_threads(app(), options_.threads);
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_data_split(options_, streams.out, log);
  }

 private:
  SplitOptions options_;
};

template <typename Kind>
std::unique_ptr<Command> add_to_data(CLI::App& program) {
  return std::make_unique<Kind>(command_group(program, "data", "Work on data sets"));
}

}  // namespace

std::vector<std::unique_ptr<Command>> add_data_sets(CLI::App& program) {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(add_to_data<DataInspect>(program));
  commands.push_back(add_to_data<DataVerify>(program));
  commands.push_back(add_to_data<DataStats>(program));
  commands.push_back(add_to_data<DataMerge>(program));
  commands.push_back(add_to_data<DataSplit>(program));
  return commands;
}

}  // namespace stoa::launcher
