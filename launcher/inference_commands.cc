#include "stoa/launcher/inference_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/launcher/continuation.h"
#include "stoa/trainer/data/text_documents.h"
#include "stoa/trainer/loop/text_evaluation.h"

namespace stoa::launcher {
namespace {

trainer::EvaluationResult judge(TrainedModel& trained, std::span<const std::int32_t> tokens, Log& log,
                                const Clock& clock) {
  const Experiment& experiment = trained.experiment();
  const std::int64_t context = experiment.model.context_length;
  const std::int64_t windows = (std::ssize(tokens) + context - 1) / context;
  const std::int64_t micro_batch = std::clamp<std::int64_t>(windows, 1, experiment.training.micro_batch);
  const auto model =
      trainer::make_model(trained.queue(), trained.table(), trained.parameters(), experiment.training.precision,
                          {.samples = micro_batch, .use = trainer::ModelUse::kEvaluation});
  ProgressLines lines(log, clock);
  const auto progress = [&](double fraction) {
    lines.line("{:.0f} % of {} tokens", 100 * fraction, format_grouped(std::ssize(tokens)));
  };
  return trainer::evaluate_text(*model, tokens, trainer::text_bytes_of_tokens(trained.tokenizer()),
                                {.micro_batch = micro_batch,
                                 .context_length = context,
                                 .progress = progress,
                                 .rules = experiment.data.document_rules(),
                                 .end_of_text = trained.tokenizer().end_of_text()});
}

void print_result(const trainer::EvaluationResult& result, const TrainedModel& trained, ResultForm form,
                  std::FILE* out) {
  if (form == ResultForm::kJson) {
    const Json line = {{"step", trained.step()},
                       {"checkpoint", trained.checkpoint().string()},
                       {"loss", result.loss},
                       {"perplexity", result.perplexity()},
                       {"bits_per_byte", result.bits_per_byte()},
                       {"tokens", result.tokens},
                       {"bytes", result.bytes}};
    fmt::print(out, "{}\n", line.dump());
    return;
  }
  fmt::print(out, "loss           {:.4f} nats a token\nperplexity     {:.3f}\nbits per byte  {:.4f}\n", result.loss,
             result.perplexity(), result.bits_per_byte());
  fmt::print(out, "tokens         {}\nbytes          {}\n", format_grouped(result.tokens),
             format_grouped(result.bytes));
}

void log_end(const Continuation& text, double seconds, std::int64_t context, Log& log) {
  if (text.end == ContinuationEnd::kEndOfText) log.info("the model ended the text");
  if (text.end == ContinuationEnd::kContextFull)
    log.info("prompt and text fill the model's context of {} tokens: it goes no further", context);
  log.info("read {} tokens and wrote {} in {}: {:.0f} tokens/s", text.prompt_tokens, text.tokens,
           format_duration(seconds), double(text.tokens) / std::max(seconds, 1e-9));
}

}  // namespace

int run_eval(const EvalOptions& options, std::FILE* out, Log& log, const Clock& clock) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(options.text, ignored))
    throw DataError("{}: no such text file", options.text.string());
  TrainedModel trained(options.model, log);
  const std::string path = options.text.string();
  const trainer::TextDocuments text(std::span(&path, 1), trained.experiment().data.document_separator);
  if (text.documents().empty()) throw DataError("{}: there is no text in it", path);
  const auto tokens = trainer::encode_documents(trained.tokenizer(), text.documents());
  print_result(judge(trained, tokens, log, clock), trained, options.form, out);
  return kExitFinished;
}

int run_sample(const SampleOptions& options, std::FILE* out, Log& log, const Clock& clock) {
  const trainer::SamplingSettings sampling{options.temperature, options.top_k, options.top_p, options.seed};
  trainer::check_sampling(sampling);
  TrainedModel trained(options.model, log);
  const auto generator = trainer::make_generator(trained.queue(), trained.table(), trained.parameters(),
                                                 trained.experiment().training.precision);
  const auto show = [out](std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), out) != text.size() || std::fflush(out) != 0)
      throw StorageError("the text cannot be written to the output");
  };
  show(options.prompt);
  const double began_s = clock.monotonic_s();
  const Continuation text =
      continue_text(*generator, trained.tokenizer(), options.prompt, options.tokens, sampling, show);
  const double seconds = clock.monotonic_s() - began_s;
  show("\n");
  log_end(text, seconds, trained.experiment().model.context_length, log);
  return kExitFinished;
}

}  // namespace stoa::launcher
