#include "inference/plan.hpp"

#include <algorithm>
#include <numeric>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::int64_t kLine = 16;  // floats of a cache line
constexpr const char* kFile = "plan.json#";

std::string place(const char* list, std::size_t index) {
  return std::string(kFile) + "/" + list + "/" + std::to_string(index);
}

void check_buffers(Plan& plan, const PlanWeights& weights) {
  if (plan.buffers.size() > kMaxBuffers)
    throw FormatError(std::string(kFile) + "/buffers", std::to_string(plan.buffers.size()),
                      "must be at most " + std::to_string(kMaxBuffers));
  std::int64_t working = 0;
  for (std::size_t i = 0; i < plan.buffers.size(); ++i) {
    PlanBuffer& buffer = plan.buffers[i];
    const std::string field = place("buffers", i);
    if (buffer.role == BufferRole::Weight) {
      const auto weight = weights.find(buffer.tensor);
      if (weight == weights.end())
        throw FormatError(field + "/tensor", buffer.tensor, "is not a tensor of the weights file");
      buffer.size = static_cast<std::int64_t>(weight->second.size);
    }
    if (buffer.size < 1 || buffer.size > kMaxBufferSize)
      throw FormatError(field + "/size", std::to_string(buffer.size),
                        "must be in 1.." + std::to_string(kMaxBufferSize));
    if (buffer.role != BufferRole::Weight) working += buffer.size;
    if (working > kMaxWorkingSize)
      throw FormatError(field + "/size", std::to_string(buffer.size),
                        "all buffers together must have at most " + std::to_string(kMaxWorkingSize));
  }
}

void check_view(const Plan& plan, std::size_t index) {
  const PlanView& view = plan.views[index];
  const std::string field = place("views", index);
  if (view.buffer < 0 || static_cast<std::size_t>(view.buffer) >= plan.buffers.size())
    throw FormatError(field + "/buffer", std::to_string(view.buffer),
                      "must be below " + std::to_string(plan.buffers.size()));
  const std::int64_t size = plan.buffers[static_cast<std::size_t>(view.buffer)].size;
  if (view.strides.size() != view.shape.size())
    throw FormatError(field + "/strides", std::to_string(view.strides.size()),
                      "must have as many entries as shape");
  if (view.offset < 0 || view.offset >= size)
    throw FormatError(field + "/offset", std::to_string(view.offset), "must be below the buffer's size");
  std::int64_t last = view.offset, elements = 1;
  for (std::size_t d = 0; d < view.shape.size(); ++d) {
    const std::int64_t extent = view.shape[d], stride = view.strides[d];
    if (extent < 1 || extent > kMaxBufferSize)
      throw FormatError(indexed(field + "/shape", static_cast<long>(d)), std::to_string(extent),
                        "must be in 1.." + std::to_string(kMaxBufferSize));
    if (stride < 0 || stride > kMaxBufferSize)
      throw FormatError(indexed(field + "/strides", static_cast<long>(d)), std::to_string(stride),
                        "must be in 0.." + std::to_string(kMaxBufferSize));
    elements *= extent;
    last += (extent - 1) * stride;
    if (elements > kMaxBufferSize || last >= size)
      throw FormatError(indexed(field + "/shape", static_cast<long>(d)), std::to_string(extent),
                        "the view must stay inside its buffer of " + std::to_string(size));
  }
}

bool may_read(Stage stage, BufferRole role) noexcept {
  switch (role) {
    case BufferRole::Weight:
    case BufferRole::Temporary:
      return true;
    case BufferRole::Row:
      return stage != Stage::Encode;
    case BufferRole::Context:
      return stage != Stage::Prepare;
    case BufferRole::Time:
      return stage == Stage::Prepare;
    case BufferRole::Observation:
      return stage == Stage::Encode;
    case BufferRole::Input:
    case BufferRole::Answer:
      return stage == Stage::Step;
  }
  return false;
}

bool may_write(Stage stage, BufferRole role) noexcept {
  switch (role) {
    case BufferRole::Temporary:
      return true;
    case BufferRole::Row:
      return stage == Stage::Prepare;
    case BufferRole::Context:
      return stage != Stage::Prepare;
    case BufferRole::Answer:
      return stage == Stage::Step;
    default:
      return false;
  }
}

bool is_given(BufferRole role) noexcept {
  return role == BufferRole::Weight || role == BufferRole::Time || role == BufferRole::Observation ||
         role == BufferRole::Input;
}

/// Who reads and writes what, in the order in which the stages run.
class FlowCheck {
 public:
  explicit FlowCheck(const Plan& plan) : plan_(plan), written_(plan.buffers.size(), false) {
    for (std::size_t b = 0; b < plan.buffers.size(); ++b) written_[b] = is_given(plan.buffers[b].role);
  }

  void check(Stage stage) {
    const auto& operations = plan_.stages[static_cast<std::size_t>(stage)];
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const std::string field = place(to_string(stage), i);
      for (std::size_t k = 0; k < operations[i].inputs.size(); ++k)
        if (const int v = operations[i].inputs[k]; v != -1)
          read(stage, v, field + "/inputs/" + std::to_string(k));
      write(stage, operations[i].output, field + "/output");
    }
    for (std::size_t b = 0; b < plan_.buffers.size(); ++b)  // nothing temporary outlives its stage
      if (plan_.buffers[b].role == BufferRole::Temporary) written_[b] = false;
  }

  void check_answer() const {
    for (std::size_t b = 0; b < plan_.buffers.size(); ++b)
      if (plan_.buffers[b].role == BufferRole::Answer && !written_[b])
        throw FormatError(place("buffers", b), "", "no operation of step writes the answer");
  }

 private:
  [[nodiscard]] std::size_t buffer(int view, const std::string& field) const {
    if (view < 0 || static_cast<std::size_t>(view) >= plan_.views.size())
      throw FormatError(field, std::to_string(view), "must be below " + std::to_string(plan_.views.size()));
    return static_cast<std::size_t>(plan_.views[static_cast<std::size_t>(view)].buffer);
  }
  void read(Stage stage, int view, const std::string& field) const {
    const std::size_t b = buffer(view, field);
    if (!may_read(stage, plan_.buffers[b].role))
      throw FormatError(field, std::to_string(view), "is a buffer that this stage may not read");
    if (!written_[b]) throw FormatError(field, std::to_string(view), "is read before it is written");
  }
  void write(Stage stage, int view, const std::string& field) {
    const std::size_t b = buffer(view, field);
    if (!may_write(stage, plan_.buffers[b].role))
      throw FormatError(field, std::to_string(view), "is a buffer that this stage may not write");
    written_[b] = true;
  }

  const Plan& plan_;
  std::vector<bool> written_;
};

}  // namespace

const char* to_string(Stage stage) noexcept {
  return stage == Stage::Prepare ? "prepare" : stage == Stage::Encode ? "encode" : "step";
}

void check_plan(Plan& plan, const PlanWeights& weights) {
  check_buffers(plan, weights);
  if (plan.views.size() > kMaxViews)
    throw FormatError(std::string(kFile) + "/views", std::to_string(plan.views.size()),
                      "must be at most " + std::to_string(kMaxViews));
  for (std::size_t i = 0; i < plan.views.size(); ++i) check_view(plan, i);
  FlowCheck flow(plan);
  for (const Stage stage : {Stage::Prepare, Stage::Encode, Stage::Step}) {
    if (const std::size_t n = plan.stages[static_cast<std::size_t>(stage)].size(); n > kMaxOperations)
      throw FormatError(std::string(kFile) + "/" + to_string(stage), std::to_string(n),
                        "must be at most " + std::to_string(kMaxOperations));
    flow.check(stage);
  }
  flow.check_answer();
}

std::vector<Lifetime> lifetimes(const Plan& plan) {
  std::vector<Lifetime> result(plan.buffers.size());
  for (int s = 0; s < kNumStages; ++s) {
    const auto& operations = plan.stages[static_cast<std::size_t>(s)];
    for (int i = 0; i < static_cast<int>(operations.size()); ++i) {
      const PlanOperation& operation = operations[static_cast<std::size_t>(i)];
      const auto touch = [&](int view) {
        if (view < 0) return;
        const auto b = static_cast<std::size_t>(plan.views[static_cast<std::size_t>(view)].buffer);
        if (plan.buffers[b].role != BufferRole::Temporary) return;
        Lifetime& life = result[b];
        if (life.stage == -1) life = {s, i, i};
        if (life.stage != s)
          throw FormatError(place("buffers", b), "", "a temporary buffer must be used by one stage alone");
        life.last = i;
      };
      for (const int view : operation.inputs) touch(view);
      touch(operation.output);
    }
  }
  return result;
}

std::vector<std::int64_t> place_temporaries(const Plan& plan, std::int64_t& total) {
  const std::vector<Lifetime> lives = lifetimes(plan);
  std::vector<std::size_t> order;
  for (std::size_t b = 0; b < lives.size(); ++b)
    if (lives[b].stage != -1) order.push_back(b);
  std::ranges::stable_sort(order, {},
                           [&](std::size_t b) { return std::pair(lives[b].stage, lives[b].first); });

  std::vector<std::int64_t> offsets(plan.buffers.size(), -1);
  std::vector<std::size_t> live;  // by offset
  total = 0;
  int stage = -1;
  for (const std::size_t b : order) {
    if (lives[b].stage != stage) live.clear();
    stage = lives[b].stage;
    std::erase_if(live, [&](std::size_t other) { return lives[other].last < lives[b].first; });
    const auto lines = [&](std::size_t i) { return (plan.buffers[i].size + kLine - 1) / kLine * kLine; };
    std::int64_t offset = 0;
    auto before = live.begin();
    for (; before != live.end(); ++before) {
      if (offset + lines(b) <= offsets[*before]) break;
      offset = offsets[*before] + lines(*before);
    }
    live.insert(before, b);
    offsets[b] = offset;
    total = std::max(total, offset + lines(b));
  }
  return offsets;
}

}  // namespace vla_rt
