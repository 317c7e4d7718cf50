// Whole training steps of GPT-2 124M and a small model: tokens/s, share of the measured matrix peak (6ND + causal
// attention), page faults and allocations in a step, and the time from exec to the end of the first forward pass. Why:
// the design of the step (memory planned once, pinned workers, one pool) promises these figures, and a change must show
// what it does to them.
//
//   step_bench MODEL SAMPLES PRECISION [STEPS]      MODEL gpt2_124m (T 512) | small (L 6, D 384, V 8192, T 256); fp32 |
//   bf16 mpirun -np 2 --bind-to none step_bench ...      two ranks of one thread each; alone it uses all allowed
//   processors
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <vector>

#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/parallel/mpi_communicator.h"
#include "stoa/parallel/mpi_session.h"
#include "stoa/trainer/kernels/peak.h"
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/model.h"
#include "stoa/trainer/optimizer/adamw_optimizer.h"
#include "stoa/trainer/optimizer/gradient_accumulation.h"

namespace {

std::atomic<long> large_allocations{0};
constexpr std::size_t kLarge = 4096;

}  // namespace

// Every allocation of a page or more that goes through operator new is counted.
void* operator new(std::size_t size) {
  if (size >= kLarge) ++large_allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace stoa;
using namespace stoa::trainer;

double now_s() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

/// When this process was started, on the clock of now_s (resolution 10 ms).
double exec_s() {
  std::ifstream file("/proc/self/stat");
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  std::istringstream fields(all.substr(all.rfind(')') + 2));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  return std::stod(field) / double(sysconf(_SC_CLK_TCK));
}

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

ModelSettings model_named(const std::string& name) {
  ModelSettings model;
  model.family = ModelFamily::kGpt2;
  if (name == "gpt2_124m") {
    model.layers = 12, model.width = 768, model.heads = 12, model.vocabulary_size = 50257, model.context_length = 512;
  } else {
    model.layers = 6, model.width = 384, model.heads = 6, model.vocabulary_size = 8192, model.context_length = 256;
  }
  return resolved(model);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    fmt::print(stderr, "usage: step_bench gpt2_124m|small SAMPLES fp32|bf16 [STEPS]\n");
    return 2;
  }
  const double exec_begin_s = exec_s();
  parallel::MpiSession session;
  parallel::MpiCommunicator ranks(session, 600);
  const ModelSettings model = model_named(arguments[1]);
  const std::int64_t samples = std::atoll(arguments[2]) / ranks.size();
  const Precision precision = std::strcmp(arguments[3], "fp32") == 0 ? Precision::kFp32 : Precision::kBf16;
  const int steps = count > 4 ? std::atoi(arguments[4]) : 5;

  const auto processors = share_of_processors(allowed_processors(), ranks.local_size(), ranks.local_rank());
  cpu::Queue queue({.threads = int(processors.size()), .pinned = processors});
  const ParameterTable table = make_parameter_table(model);
  ModelParameters parameters(table, precision);
  const auto transformer = make_model(queue, table, parameters, precision, {.samples = samples});
  AdamWOptimizer optimizer(queue, table, {});
  GradientAccumulation gradients(queue, table, ranks, SumOrder::kFast, 1);
  const double allocated_s = now_s();
  initialize_parameters(queue, table, 1, parameters.masters());
  parameters.refresh_copies(queue);
  const double initialised_s = now_s();

  std::vector<std::int32_t> tokens(std::size_t(samples * model.context_length)), targets(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = std::int32_t((i * 7919 + 13) % std::size_t(model.vocabulary_size));
    targets[i] = std::int32_t((i * 104729 + 7) % std::size_t(model.vocabulary_size));
  }
  const MicroBatch batch{.tokens_bt = tokens, .targets_bt = targets, .samples = samples};
  transformer->evaluate(batch);
  const double forward_s = now_s();

  std::vector<double> step_s;
  std::vector<long> faults, allocations;
  const double all_tokens = double(tokens.size()) * ranks.size();
  for (int step = 1; step <= steps + 1; ++step) {
    const double begin_s = now_s();
    const long faults_before = page_faults(), allocations_before = large_allocations;
    gradients.begin_step();
    gradients.add([&](std::span<float> into) { return transformer->train(batch, {float(1 / all_tokens), 0}, into); });
    gradients.finish_step();
    optimizer.update(step, 1e-4, optimizer.norm(gradients.gradients()), gradients.gradients(), parameters);
    if (step == 1) continue;
    step_s.push_back(now_s() - begin_s);
    faults.push_back(page_faults() - faults_before);
    allocations.push_back(large_allocations - allocations_before);
  }
  double peak = measure_peak_gflops(queue, precision == Precision::kBf16 ? PeakKind::kBf16 : PeakKind::kFp32);
  ranks.all_reduce(std::span(&peak, 1), parallel::ReduceOp::kSum, "peak");
  if (ranks.rank() == 0) {
    const double tokens_per_s = all_tokens / median(step_s);
    fmt::print("{} {} x {} {} on {} ranks x {} threads, {}\n", arguments[1], arguments[2], model.context_length,
               arguments[3], ranks.size(), queue.threads(), cpu::isa_name(queue.isa()));
    fmt::print("  tokens/s (median of {} steps)        {:10.0f}\n", steps, tokens_per_s);
    fmt::print("  share of measured peak {:7.0f} GFLOP/s {:9.1f} %\n", peak,
               100 * training_flops_per_token(model) * tokens_per_s / (peak * 1e9));
    fmt::print("  page faults in a later step          {:10}\n", *std::max_element(faults.begin(), faults.end()));
    fmt::print("  allocations of a page or more        {:10}\n",
               *std::max_element(allocations.begin(), allocations.end()));
    fmt::print("  exec to first forward pass           {:10.2f} s begun, {:.2f} done (memory ready {:.2f})\n",
               initialised_s - exec_begin_s, forward_s - exec_begin_s, allocated_s - exec_begin_s);
    fmt::print("  largest resident size                {:>10}\n", [] {
      rusage usage{};
      getrusage(RUSAGE_SELF, &usage);
      return format_bytes(double(usage.ru_maxrss) * 1024);
    }());
  }
  return 0;
}
