#include "package/plan_json.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "package/json_field.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr const char* kFile = "plan.json";
constexpr std::size_t kMaxRank = 8, kMaxInputs = 8, kMaxNumbers = 8;

PlanBuffer read_buffer(const JsonField& field) {
  static constexpr std::array kRoles = {
      std::pair("weight", BufferRole::Weight), std::pair("temporary", BufferRole::Temporary),
      std::pair("row", BufferRole::Row),       std::pair("context", BufferRole::Context),
      std::pair("time", BufferRole::Time),     std::pair("observation", BufferRole::Observation),
      std::pair("input", BufferRole::Input),   std::pair("answer", BufferRole::Answer)};
  const std::string role = field.at("role").word(
      {"weight", "temporary", "row", "context", "time", "observation", "input", "answer"});
  PlanBuffer buffer;
  buffer.role = std::ranges::find(kRoles, role, [](const auto& r) { return std::string(r.first); })->second;
  if (buffer.role == BufferRole::Weight) {
    field.require_keys({"role", "tensor"});
    buffer.tensor = field.at("tensor").text();
  } else {
    field.require_keys({"role", "size"});
    buffer.size = field.at("size").integer(1, kMaxBufferSize);
  }
  return buffer;
}

PlanView read_view(const JsonField& field) {
  field.require_keys({"buffer", "offset", "shape", "strides"});
  PlanView view;
  view.buffer = static_cast<int>(field.at("buffer").integer(0, static_cast<std::int64_t>(kMaxBuffers)));
  view.offset = field.at("offset").integer(0, kMaxBufferSize);
  for (const JsonField& extent : field.at("shape").elements(0, kMaxRank))
    view.shape.push_back(extent.integer(1, kMaxBufferSize));
  for (const JsonField& stride : field.at("strides").elements(view.shape.size(), view.shape.size()))
    view.strides.push_back(stride.integer(0, kMaxBufferSize));
  return view;
}

PlanOperation read_operation(const JsonField& field) {
  static constexpr std::array kNumbers = {"epsilon", "scale",   "groups",  "causal",
                                          "stride",  "padding", "dilation"};
  field.require_keys({"op", "inputs", "output"},
                     {"function", "epsilon", "scale", "groups", "causal", "stride", "padding", "dilation"});
  PlanOperation operation;
  operation.name = field.at("op").text();
  const auto last = static_cast<std::int64_t>(kMaxViews);
  for (const JsonField& view : field.at("inputs").elements(1, kMaxInputs))
    operation.inputs.push_back(static_cast<int>(view.integer(-1, last)));
  operation.output = static_cast<int>(field.at("output").integer(0, last));
  if (field.has("function")) operation.function = field.at("function").text();
  for (const char* name : kNumbers)
    if (field.has(name)) operation.numbers[name] = field.at(name).numbers(kMaxNumbers);
  return operation;
}

}  // namespace

Plan parse_plan(std::string_view text) {
  const Json json = parse_json(text, kFile);
  const JsonField root(json, std::string(kFile) + "#");
  (void)root.at("schema_version").integer(1, 1);
  root.require_keys({"schema_version", "buffers", "views", "prepare", "encode", "step"});
  Plan plan;
  for (const JsonField& field : root.at("buffers").elements(1, kMaxBuffers))
    plan.buffers.push_back(read_buffer(field));
  for (const JsonField& field : root.at("views").elements(1, kMaxViews))
    plan.views.push_back(read_view(field));
  for (std::size_t s = 0; s < kNumStages; ++s)
    for (const JsonField& field : root.at(to_string(static_cast<Stage>(s))).elements(0, kMaxOperations))
      plan.stages[s].push_back(read_operation(field));
  return plan;
}

}  // namespace vla_rt
