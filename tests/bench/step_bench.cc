// Whole training steps of GPT-2 124M and a small model: tokens/s, share of the measured matrix peak (6ND + causal
// attention), page faults and allocations in a step, and the time from exec to the end of the first forward pass. Why:
// the design of the step (memory planned once, pinned workers, one pool) promises these figures, and a change must show
// what it does to them.
//
//   step_bench MODEL SAMPLES PRECISION [KEY=VALUE ...]
//     MODEL      gpt2_124m (T 512) | small (L 6, D 384, V 8192, T 256); SAMPLES of the global batch; fp32 | bf16
//     data, pipeline, tensor     the mesh; its ranks are mpirun's:  mpirun -np 2 --bind-to none step_bench ...
//     micro_batch, chunks, zero, steps
//     schedule   gpipe | 1f1b | interleaved | zero_bubble
//     recompute  none | selective | full
//     threads    of a rank; its share of the allowed processors where absent
//     hidden=1   also the same step on each rank alone, and its communication alone. Hidden is what part of that
//                the step did not wait for; by the clock, what part of it the step is not longer than alone. They
//                differ by what communication takes of the processors that compute.
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
#include <map>
#include <sstream>
#include <vector>

#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/parallel/mpi_communicator.h"
#include "stoa/parallel/mpi_session.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/trainer/kernels/peak.h"
#include "stoa/trainer/loop/training_step.h"
#include "stoa/trainer/model/initial_weights.h"

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

double read_s(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

double now_s() { return read_s(CLOCK_BOOTTIME); }
/// Of all threads of this rank. Where a rank has one processor, what others do on the machine does not count.
double processor_s() { return read_s(CLOCK_PROCESS_CPUTIME_ID); }

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

using Options = std::map<std::string, std::string>;

int number(const Options& options, const std::string& key, int otherwise) {
  const auto found = options.find(key);
  return found == options.end() ? otherwise : std::stoi(found->second);
}

parallel::PipelineKind schedule_named(const std::string& name) {
  using parallel::PipelineKind;
  for (const PipelineKind kind : {PipelineKind::kGpipe, PipelineKind::kOneForwardOneBackward,
                                  PipelineKind::kInterleaved, PipelineKind::kZeroBubble})
    if (parallel::pipeline_kind_name(kind) == name) return kind;
  return PipelineKind::kOneForwardOneBackward;
}

StepSettings settings_of(const std::string& model, int samples, const std::string& precision, const Options& options) {
  StepSettings settings;
  settings.model = model_named(model);
  settings.parallel.mesh = {.data = number(options, "data", 1),
                            .pipeline = number(options, "pipeline", 1),
                            .tensor = number(options, "tensor", 1)};
  settings.parallel.zero = Zero(number(options, "zero", 0));
  settings.parallel.chunks_per_stage = number(options, "chunks", 1);
  if (options.contains("schedule")) settings.parallel.schedule = schedule_named(options.at("schedule"));
  settings.training.global_batch = samples;
  settings.training.micro_batch = number(options, "micro_batch", samples / settings.parallel.mesh.data);
  settings.training.precision = precision == "fp32" ? Precision::kFp32 : Precision::kBf16;
  if (options.contains("recompute"))
    settings.training.recompute = options.at("recompute") == "full" ? Recompute::kFull : Recompute::kSelective;
  return settings;
}

/// Tokens by a formula, one micro-batch like the other.
class FormulaSamples final : public SampleStream {
 public:
  explicit FormulaSamples(std::int64_t vocabulary) : vocabulary_(std::size_t(vocabulary)) {}
  std::int64_t samples() const override { return 1 << 30; }
  DocumentRules document_rules() const override { return {}; }
  void read(std::int64_t index, const SampleSpans& sample) const override {
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      const std::size_t n = std::size_t(index) * sample.inputs.size() + i;
      sample.inputs[i] = std::int32_t((n * 7919 + 13) % vocabulary_);
      sample.targets[i] = std::int32_t((n * 104729 + 7) % vocabulary_);
    }
  }

 private:
  std::size_t vocabulary_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Seconds {
  double wall = 0, processor = 0;
};

Seconds operator-(const Seconds& a, const Seconds& b) { return {a.wall - b.wall, a.processor - b.processor}; }
Seconds now() { return {now_s(), processor_s()}; }

Seconds medians(const std::vector<Seconds>& all) {
  std::vector<double> wall, processor;
  for (const Seconds& one : all) {
    wall.push_back(one.wall);
    processor.push_back(one.processor);
  }
  return {median(wall), median(processor)};
}

struct Measured {
  std::vector<Seconds> step;
  std::vector<double> waited_s;
  std::vector<long> faults, allocations;
};

/// The first step touches memory and is not counted. What an update gives to the other ranks is on its way while the
/// next step begins.
Measured measure(TrainingStep& passes, const SampleStream& samples, int steps) {
  TrainingState& state = passes.state();
  Measured measured;
  for (int step = 1; step <= steps + 1; ++step) {
    passes.groups().job.barrier("step");
    const Seconds begin = now();
    const double waited_s = passes.waited_s();
    const long faults = page_faults(), allocations = large_allocations;
    passes.run(samples, step);
    state.update(step, 1e-4, state.gradient_norm());
    if (step == 1) continue;
    measured.step.push_back(now() - begin);
    measured.waited_s.push_back(passes.waited_s() - waited_s);
    measured.faults.push_back(page_faults() - faults);
    measured.allocations.push_back(large_allocations - allocations);
  }
  state.await_parameters();
  return measured;
}

/// A step's sums of gradients, and gathering where ranks own parts, with nothing to hide behind.
Seconds communication(TrainingStep& passes, int steps) {
  TrainingState& state = passes.state();
  const int micro_batches = int(micro_batches_per_rank(passes.settings().training, passes.groups().size));
  std::vector<Seconds> seconds;
  for (int step = 0; step < steps; ++step) {
    state.begin_step();
    passes.groups().job.barrier("communication");
    const Seconds begin = now();
    for (int m = 0; m < micro_batches; ++m)
      for (std::size_t block = passes.table().blocks.size(); block-- > 0;) state.sink().complete(block);
    state.finish_step();
    if (passes.settings().parallel.zero != Zero::kNone) state.gather_all();
    seconds.push_back(now() - begin);
  }
  return medians(seconds);
}

/// Everything of a rank alone: what a step costs where nothing is communicated.
Seconds alone_on(cpu::Queue& queue, const StepSettings& settings, const SampleStream& samples, int steps) {
  StepSettings own = settings;
  own.training.global_batch /= own.parallel.mesh.data;
  own.parallel.mesh = {};
  own.parallel.zero = Zero::kNone;
  parallel::OneRank job;
  TrainingStep passes(queue, own, parallel::make_mesh_groups(job, {}));
  initialize_parameters(queue, passes.table(), 1, passes.state().masters());
  passes.state().gather_all();
  return medians(measure(passes, samples, steps).step);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    fmt::print(stderr, "usage: step_bench gpt2_124m|small SAMPLES fp32|bf16 [KEY=VALUE ...]\n");
    return 2;
  }
  Options options;
  std::string said;
  for (int i = 4; i < count; ++i) {
    const std::string argument = arguments[i];
    options[argument.substr(0, argument.find('='))] = argument.substr(argument.find('=') + 1);
    said += " " + argument;
  }
  const double exec_begin_s = exec_s();
  parallel::MpiSession session;
  parallel::MpiCommunicator ranks(session, 600);
  const StepSettings settings = settings_of(arguments[1], std::atoi(arguments[2]), arguments[3], options);
  const TrainingSettings& training = settings.training;
  if (training.micro_batch < 1 || training.global_batch % (training.micro_batch * settings.parallel.mesh.data) != 0 ||
      settings.parallel.mesh.ranks() != ranks.size()) {
    fmt::print(stderr, "step_bench: {} samples in micro-batches of {} on {} ranks do not make a mesh of {} ranks\n",
               training.global_batch, training.micro_batch, ranks.size(), settings.parallel.mesh.ranks());
    return 2;
  }
  const int steps = number(options, "steps", 5);

  auto processors = share_of_processors(allowed_processors(), ranks.local_size(), ranks.local_rank());
  const int threads = number(options, "threads", int(processors.size()));
  if (threads < int(processors.size())) processors.resize(std::size_t(threads));
  cpu::Queue queue({.threads = threads, .pinned = processors});
  const FormulaSamples samples(settings.model.vocabulary_size);
  const Seconds alone = number(options, "hidden", 0) != 0 ? alone_on(queue, settings, samples, steps) : Seconds{};
  TrainingStep passes(queue, settings, parallel::make_mesh_groups(ranks, settings.parallel.mesh));
  const double allocated_s = now_s();
  initialize_parameters(queue, passes.table(), 1, passes.state().masters(), passes.state().owned());
  passes.state().gather_all();
  const double initialised_s = now_s();
  passes.evaluate(samples, settings.training.global_batch, [](auto&&...) {});
  const double forward_s = now_s();
  const Measured measured = measure(passes, samples, steps);
  const Seconds communicated = alone.wall > 0 ? communication(passes, steps) : Seconds{};
  double peak =
      measure_peak_gflops(queue, settings.training.precision == Precision::kBf16 ? PeakKind::kBf16 : PeakKind::kFp32);
  ranks.all_reduce(std::span(&peak, 1), parallel::ReduceOp::kSum, "peak");
  if (ranks.rank() != 0) return 0;
  const Seconds step = medians(measured.step);
  const double tokens_per_s = double(settings.training.global_batch * settings.model.context_length) / step.wall;
  fmt::print("{} {} x {} {}{} on {} ranks x {} threads, {}\n", arguments[1], arguments[2],
             settings.model.context_length, arguments[3], said, ranks.size(), queue.threads(),
             cpu::isa_name(queue.isa()));
  fmt::print("  tokens/s (median of {} steps)        {:10.0f}\n", steps, tokens_per_s);
  fmt::print("  share of measured peak {:7.0f} GFLOP/s {:9.1f} %\n", peak,
             100 * training_flops_per_token(settings.model) * tokens_per_s / (peak * 1e9));
  fmt::print("  page faults in a later step          {:10}\n", std::ranges::max(measured.faults));
  fmt::print("  allocations of a page or more        {:10}\n", std::ranges::max(measured.allocations));
  fmt::print("  exec to first forward pass           {:10.2f} s begun, {:.2f} done (memory ready {:.2f})\n",
             initialised_s - exec_begin_s, forward_s - exec_begin_s, allocated_s - exec_begin_s);
  fmt::print("  largest resident size                {:>10}\n", [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return format_bytes(double(usage.ru_maxrss) * 1024);
  }());
  if (alone.wall > 0) {
    const double waited_s = median(measured.waited_s);
    fmt::print("  step {:.3f} s, alone {:.3f} s, communication alone {:.3f} s, waited for {:.3f} s\n", step.wall,
               alone.wall, communicated.wall, waited_s);
    fmt::print("  hidden {:.1f} %, by the clock {:.1f} %\n", 100 * (1 - waited_s / communicated.wall),
               100 * (1 - (step.wall - alone.wall) / communicated.wall));
    fmt::print("  of this rank's processors: {:.3f} s, {:.3f} s, {:.3f} s\n", step.processor, alone.processor,
               communicated.processor);
  }
  return 0;
}
