#include "stoa/launcher/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stoa/base/units.h"

namespace stoa::launcher {
namespace {

constexpr int kLeastBar = 10;
constexpr int kMostBar = 30;
constexpr double kRedrawS = 0.1;
constexpr double kLinesS = 2;

std::string bar(const Progress& progress, int width) {
  const double done = progress.steps > 0 ? static_cast<double>(progress.step) / static_cast<double>(progress.steps) : 0;
  const auto filled = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * width);
  return "[" + std::string(filled, '#') + std::string(static_cast<std::size_t>(width) - filled, '.') + "]";
}

std::string loss_text(double loss) {
  return std::isfinite(loss) ? fmt::format("loss {:.4f}", loss) : "loss not finite";
}

}  // namespace

std::string progress_line(const Progress& progress, int columns) {
  const auto room = static_cast<std::size_t>(std::max(columns, 1));
  std::string line = fmt::format("{}/{}", progress.step, progress.steps);
  const std::string left =
      progress.state == Progress::State::kSaving ? "saving" : format_duration(progress.seconds_left) + " left";
  for (const std::string& part :
       {loss_text(progress.loss), left, format_count(progress.tokens_per_s) + " tokens/s", progress.price})
    if (!part.empty() && line.size() + 2 + part.size() <= room) line += "  " + part;
  const int bar_width = std::min(kMostBar, static_cast<int>(room) - static_cast<int>(line.size()) - 3);
  if (bar_width >= kLeastBar) line = bar(progress, bar_width) + " " + line;
  return line.substr(0, room);
}

std::string progress_text(const Progress& progress) {
  std::string line =
      fmt::format("step {}/{}: {}, {} tokens/s, {} left", progress.step, progress.steps, loss_text(progress.loss),
                  format_count(progress.tokens_per_s), format_duration(progress.seconds_left));
  if (!progress.price.empty()) line += ", " + progress.price;
  return line;
}

std::string start_text(const cluster::StartMetrics& start) {
  const std::string from = start.step == 0 ? "begins" : fmt::format("resumes after step {}", start.step);
  return fmt::format("attempt {} {}: {} parameters, {} {} x {} {}, {}", start.attempt, from,
                     format_count(static_cast<double>(start.parameters)), start.ranks,
                     start.ranks == 1 ? "rank" : "ranks", start.threads_per_rank,
                     start.threads_per_rank == 1 ? "thread" : "threads", start.isa);
}

std::string evaluation_text(const cluster::EvaluationMetrics& evaluation) {
  return fmt::format("step {}: held-out loss {:.4f}, perplexity {:.4g}, {:.4f} bits per byte", evaluation.step,
                     evaluation.loss, evaluation.perplexity, evaluation.bits_per_byte);
}

std::string checkpoint_text(const cluster::CheckpointMetrics& checkpoint) {
  return fmt::format("step {}: checkpoint, {} in {}", checkpoint.step,
                     format_bytes(static_cast<double>(checkpoint.bytes)), format_duration(checkpoint.seconds));
}

void ProgressView::show(const cluster::StepMetrics& step, const std::string& price) {
  // A mean that forgets: the first step pays for page faults and would spoil a plain one for long.
  mean_step_s_ = mean_step_s_ == 0 ? step.step_s : 0.9 * mean_step_s_ + 0.1 * step.step_s;
  now_ = {.step = step.step,
          .steps = step.steps,
          .loss = step.loss,
          .tokens_per_s = step.tokens_per_s,
          .seconds_left = mean_step_s_ * static_cast<double>(step.steps - step.step),
          .price = price,
          .state = now_.state};
  if (!step.skipped.empty()) say(fmt::format("step {}: {}, this step is skipped", step.step, step.skipped));
  const bool last = step.step == step.steps;
  const double since_s = clock_.monotonic_s() - shown_s_;
  if (settings_.form == ProgressForm::kLive) {
    if (last || since_s >= kRedrawS) draw();
    return;
  }
  if (!last && (step.step % settings_.log_every != 0 || since_s < kLinesS)) return;
  shown_s_ = clock_.monotonic_s();
  say(progress_text(now_));
}

void ProgressView::draw() {
  shown_s_ = clock_.monotonic_s();
  drawn_ = true;
  fmt::print(stream_, "\r{}\x1b[K", progress_line(now_, settings_.columns - 1));
  std::fflush(stream_);
}

void ProgressView::say(const std::string& line) {
  fmt::print(stream_, "{}{}\n", drawn_ ? "\r\x1b[K" : "", line);
  if (drawn_) draw();
  std::fflush(stream_);
}

void ProgressView::saving() { now_.state = Progress::State::kSaving; }

void ProgressView::end() {
  if (!drawn_) return;
  drawn_ = false;
  fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
}

}  // namespace stoa::launcher
