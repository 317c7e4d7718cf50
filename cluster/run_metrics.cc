#include "stoa/cluster/run_metrics.h"

#include <algorithm>
#include <limits>
#include <map>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::cluster {
namespace {

/// One line with its place, so that a field is read in one short call.
struct Line {
  const Json& object;
  std::string_view place;

  std::string text(const char* key) const { return json_field<std::string>(object, key, place); }
  std::int64_t whole(const char* key) const { return json_field<std::int64_t>(object, key, place); }
  double number(const char* key) const {
    if (object.contains(key) && object.at(key).is_null()) return std::numeric_limits<double>::quiet_NaN();
    return json_field<double>(object, key, place);
  }
};

StepMetrics parse_step(const Line& line) {
  return {.step = line.whole("step"),
          .steps = line.whole("steps"),
          .loss = line.number("loss"),
          .gradient_norm = line.number("gradient_norm"),
          .learning_rate = line.number("learning_rate"),
          .consumed_tokens = line.whole("consumed_tokens"),
          .step_s = line.number("step_s"),
          .tokens_per_s = line.number("tokens_per_s"),
          .model_flops_utilisation = line.number("model_flops_utilisation"),
          .peak_gflops = line.number("peak_gflops"),
          .resident_bytes = line.whole("resident_bytes"),
          .energy_j = line.number("energy_j"),
          .energy_source = line.text("energy_source"),
          .skipped = line.text("skipped"),
          .attempt = line.text("attempt"),
          .time = line.number("time")};
}

EvaluationMetrics parse_evaluation(const Line& line) {
  return {.step = line.whole("step"),
          .loss = line.number("loss"),
          .perplexity = line.number("perplexity"),
          .bits_per_byte = line.number("bits_per_byte"),
          .attempt = line.text("attempt"),
          .time = line.number("time")};
}

CheckpointMetrics parse_checkpoint(const Line& line) {
  return {.step = line.whole("step"),
          .bytes = line.whole("bytes"),
          .seconds = line.number("seconds"),
          .attempt = line.text("attempt"),
          .time = line.number("time")};
}

StartMetrics parse_start(const Line& line) {
  return {.step = line.whole("step"),
          .attempt = line.text("attempt"),
          .ranks = line.whole("ranks"),
          .threads_per_rank = line.whole("threads_per_rank"),
          .isa = line.text("isa"),
          .parameters = line.whole("parameters"),
          .time = line.number("time"),
          .host = line.text("host")};
}

template <typename T>
std::vector<T> in_order(std::map<std::int64_t, T>&& by_step) {
  std::vector<T> list;
  list.reserve(by_step.size());
  for (auto& [step, metrics] : by_step) list.push_back(std::move(metrics));
  return list;
}

class Reader {
 public:
  void read(std::string_view text, std::string_view place) {
    const Json object = parse_json(text, place);
    const Line line{object, place};
    const std::string kind = line.text("kind");
    if (kind == "step") keep(steps_, parse_step(line));
    if (kind == "evaluation") keep(evaluations_, parse_evaluation(line));
    if (kind == "checkpoint") keep(checkpoints_, parse_checkpoint(line));
    if (kind == "start") {
      starts_.push_back(parse_start(line));
      last_time_ = std::max(last_time_, starts_.back().time);
    }
  }

  RunMetrics take() {
    return {.starts = std::move(starts_),
            .steps = in_order(std::move(steps_)),
            .evaluations = in_order(std::move(evaluations_)),
            .checkpoints = in_order(std::move(checkpoints_)),
            .last_time = last_time_};
  }

 private:
  template <typename T>
  void keep(std::map<std::int64_t, T>& by_step, T metrics) {
    last_time_ = std::max(last_time_, metrics.time);
    by_step[metrics.step] = std::move(metrics);
  }

  std::vector<StartMetrics> starts_;
  std::map<std::int64_t, StepMetrics> steps_;
  std::map<std::int64_t, EvaluationMetrics> evaluations_;
  std::map<std::int64_t, CheckpointMetrics> checkpoints_;
  double last_time_ = 0;
};

}  // namespace

RunMetrics parse_metrics(std::string_view text, std::string_view place) {
  Reader reader;
  std::size_t at = 0;
  for (int line = 1;; ++line) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return reader.take();
    reader.read(text.substr(at, end - at), fmt::format("{}:{}", place, line));
    at = end + 1;
  }
}

RunMetrics read_metrics(const std::filesystem::path& metrics_file) {
  if (!std::filesystem::exists(metrics_file)) return {};
  return parse_metrics(read_text_file(metrics_file), metrics_file.string());
}

}  // namespace stoa::cluster
