#include "stoa/parallel/pipeline_simulation.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

// From one stage to a neighbour: all messages ever, and how many of them were received.
struct Link {
  struct Message {
    PipelineAction sent;
    double arrives_s = 0;
  };
  std::vector<Message> messages;
  std::vector<double> received_s;
};

bool is_send(PipelineStep step) { return step == PipelineStep::kSendActivation || step == PipelineStep::kSendGradient; }
bool is_receive(PipelineStep step) {
  return step == PipelineStep::kReceiveActivation || step == PipelineStep::kReceiveGradient;
}

double cost_s(const StepCosts& costs, PipelineStep step) {
  switch (step) {
    case PipelineStep::kForward:
      return costs.forward_s;
    case PipelineStep::kBackward:
      return costs.backward_input_s + costs.backward_weight_s;
    case PipelineStep::kBackwardInput:
      return costs.backward_input_s;
    case PipelineStep::kBackwardWeight:
      return costs.backward_weight_s;
    default:
      return 0;
  }
}

class Play {
 public:
  Play(const PipelineShape& shape, const std::vector<PipelinePlan>& plans, const PipelineCosts& costs)
      : shape_(shape), plans_(plans), costs_(costs), activations_(plans.size()), gradients_(plans.size()) {
    result_.ended_s.resize(plans.size());
    result_.busy_s.assign(plans.size(), 0);
  }

  PipelineSimulation run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int stage = 0; stage < shape_.stages; ++stage)
        while (!is_done(stage) && step(stage)) moved = true;
    }
    check_end();
    add_times();
    for (int stage = 0; stage < shape_.stages; ++stage) count_in_flight(stage);
    return std::move(result_);
  }

 private:
  const PipelineAction& next(int stage) const { return plans_[std::size_t(stage)].actions[ended(stage).size()]; }
  const std::vector<double>& ended(int stage) const { return result_.ended_s[std::size_t(stage)]; }
  bool is_done(int stage) const { return ended(stage).size() == plans_[std::size_t(stage)].actions.size(); }

  int neighbour(int stage, int distance) const { return (stage + distance + shape_.stages) % shape_.stages; }

  // The stage at the other end of a message.
  int peer(int stage, PipelineStep step) const {
    const bool to_next = step == PipelineStep::kSendActivation || step == PipelineStep::kReceiveGradient;
    return neighbour(stage, to_next ? 1 : -1);
  }

  // Where the messages of `sender` wait.
  Link& link(int sender, PipelineStep step) {
    const bool forward = step == PipelineStep::kSendActivation || step == PipelineStep::kReceiveActivation;
    return (forward ? activations_ : gradients_)[std::size_t(sender)];
  }

  // One action of this stage; false where it must wait.
  bool step(int stage) {
    const PipelineAction& action = next(stage);
    const double now_s = ended(stage).empty() ? 0 : ended(stage).back();
    auto& ended_s = result_.ended_s[std::size_t(stage)];
    if (is_send(action.step)) return send(link(stage, action.step), action, now_s, ended_s);
    if (is_receive(action.step))
      return receive(stage, link(peer(stage, action.step), action.step), action, now_s, ended_s);
    const double took_s = cost_s(costs_.steps[std::size_t(stage)][std::size_t(action.chunk)], action.step);
    result_.busy_s[std::size_t(stage)] += took_s;
    ended_s.push_back(now_s + took_s);
    return true;
  }

  bool send(Link& link, const PipelineAction& action, double now_s, std::vector<double>& ended_s) const {
    const std::size_t sent = link.messages.size();
    const auto room = std::size_t(costs_.waiting_messages);
    if (sent >= link.received_s.size() + room) return false;
    if (sent >= room) now_s = std::max(now_s, link.received_s[sent - room]);
    const double link_free_s = sent == 0 ? now_s : std::max(now_s, link.messages.back().arrives_s);
    link.messages.push_back({.sent = action, .arrives_s = link_free_s + costs_.transfer_s});
    ended_s.push_back(now_s);
    return true;
  }

  bool receive(int stage, Link& link, const PipelineAction& action, double now_s, std::vector<double>& ended_s) const {
    if (link.received_s.size() == link.messages.size()) return false;
    const Link::Message& message = link.messages[link.received_s.size()];
    const int sender = peer(stage, action.step);
    if (message.sent.micro_batch != action.micro_batch || chunk_it_is_for(sender, message.sent) != action.chunk)
      throw InternalError("{}: the next message is that of {}", describe_action(stage, action),
                          describe_action(sender, message.sent));
    ended_s.push_back(std::max(now_s, message.arrives_s));
    link.received_s.push_back(ended_s.back());
    return true;
  }

  // Around the end of the stages a message is for the chunk above, or below.
  int chunk_it_is_for(int sender, const PipelineAction& sent) const {
    if (sent.step == PipelineStep::kSendActivation) return sent.chunk + (sender == shape_.stages - 1 ? 1 : 0);
    return sent.chunk - (sender == 0 ? 1 : 0);
  }

  void check_end() const {
    std::string waiting;
    for (int stage = 0; stage < shape_.stages; ++stage)
      if (!is_done(stage)) waiting += (waiting.empty() ? "" : "; ") + describe_action(stage, next(stage));
    if (!waiting.empty())
      throw InternalError("the {} schedule deadlocks: {}", pipeline_kind_name(shape_.kind), waiting);
    for (const std::vector<Link>* links : {&activations_, &gradients_})
      for (std::size_t sender = 0; sender < links->size(); ++sender)
        if (const Link& link = (*links)[sender]; link.received_s.size() < link.messages.size())
          throw InternalError("{}: nobody receives it",
                              describe_action(int(sender), link.messages[link.received_s.size()].sent));
  }

  void add_times() {
    for (const auto& ended_s : result_.ended_s)
      if (!ended_s.empty()) result_.makespan_s = std::max(result_.makespan_s, ended_s.back());
    for (const double busy_s : result_.busy_s) result_.idle_s.push_back(result_.makespan_s - busy_s);
    const double busiest_s = *std::max_element(result_.busy_s.begin(), result_.busy_s.end());
    result_.bubble = busiest_s > 0 ? result_.makespan_s / busiest_s - 1 : 0;
  }

  // Counted along the list, which is the order in time.
  void count_in_flight(int stage) {
    std::vector<int> now(std::size_t(shape_.chunks)), most = now;
    int all = 0, most_of_all = 0;
    for (const PipelineAction& action : plans_[std::size_t(stage)].actions) {
      const auto chunk = std::size_t(action.chunk);
      const auto change = [&](int by) {
        most[chunk] = std::max(most[chunk], now[chunk] += by);
        most_of_all = std::max(most_of_all, all += by);
      };
      if (action.step == PipelineStep::kForward) change(1);
      if (ends_flight(shape_.kind, action.step)) change(-1);
    }
    result_.most_in_flight.push_back(most_of_all);
    result_.most_of_chunk.push_back(std::move(most));
  }

  const PipelineShape& shape_;
  const std::vector<PipelinePlan>& plans_;
  const PipelineCosts& costs_;
  std::vector<Link> activations_, gradients_;  // by sender
  PipelineSimulation result_;
};

}  // namespace

PipelineCosts uniform_costs(const PipelineShape& shape, const StepCosts& costs) {
  return {.steps = std::vector(std::size_t(shape.stages), std::vector(std::size_t(shape.chunks), costs))};
}

PipelineSimulation simulate_pipeline(const PipelineShape& shape, const std::vector<PipelinePlan>& plans,
                                     const PipelineCosts& costs) {
  const auto stages = std::size_t(shape.stages);
  const auto has_all_chunks = [&](const auto& of_stage) { return of_stage.size() == std::size_t(shape.chunks); };
  if (plans.size() != stages || costs.steps.size() != stages || !std::ranges::all_of(costs.steps, has_all_chunks))
    throw InternalError("{} plans and costs of {} stages for {} stages of {} chunks", plans.size(), costs.steps.size(),
                        stages, shape.chunks);
  return Play(shape, plans, costs).run();
}

}  // namespace stoa::parallel
