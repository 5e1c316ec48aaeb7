#pragma once
// A small native package that uses every operation of the engine.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "fuzzing.hpp"

namespace vla_rt::fuzzing {

/// A package of a plan and its weights, built operation by operation.
struct EveryOperation {
  Json plan = {{"schema_version", 1},      {"buffers", Json::array()}, {"views", Json::array()},
               {"prepare", Json::array()}, {"encode", Json::array()},  {"step", Json::array()}};
  Json header = Json::object();
  std::string data;

  int view(int buffer, const std::vector<int>& shape, int offset = 0) {
    std::vector<int> strides(shape.size(), 1);
    for (std::size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
    plan["views"].push_back({{"buffer", buffer}, {"offset", offset}, {"shape", shape}, {"strides", strides}});
    return static_cast<int>(plan["views"].size()) - 1;
  }
  static int count(const std::vector<int>& shape) {
    int n = 1;
    for (const int extent : shape) n *= extent;
    return n;
  }
  int tensor(const char* role, const std::vector<int>& shape) {
    plan["buffers"].push_back({{"role", role}, {"size", count(shape)}});
    return view(static_cast<int>(plan["buffers"].size()) - 1, shape);
  }
  int weight(const std::vector<int>& shape, const std::string& dtype = "F32") {
    const std::string name = "w" + std::to_string(header.size());
    const std::size_t begin = data.size(), width = dtype == "F32" ? 4 : dtype == "BF16" ? 2 : 1;
    for (int i = 0; i < count(shape); ++i) {
      const float value = 0.1F * static_cast<float>(i % 7 - 3);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, 4);
      const std::uint32_t stored = width == 4   ? bits
                                   : width == 2 ? bits >> 16
                                                : static_cast<std::uint32_t>(i % 7);
      data.append(reinterpret_cast<const char*>(&stored), width);
    }
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    while (data.size() % 4 != 0) data += '\0';
    plan["buffers"].push_back({{"role", "weight"}, {"tensor", name}});
    return view(static_cast<int>(plan["buffers"].size()) - 1, shape);
  }
  void add(const char* stage, const char* op, const std::vector<int>& inputs, int output,
           Json more = Json::object()) {
    more["op"] = op;
    more["inputs"] = inputs;
    more["output"] = output;
    plan[stage].push_back(std::move(more));
  }

  static EveryOperation package() {
    EveryOperation p;
    const int time = p.tensor("time", {1, 1}), seen = p.tensor("observation", {1, 4});
    const int x = p.tensor("input", {4, 4}), answer = p.tensor("answer", {4, 4});
    const int row = p.tensor("row", {1, 4}), context = p.tensor("context", {1, 4});
    const int cache = p.tensor("context", {1, 3, 4});
    p.add("prepare", "linear", {time, p.weight({4, 1})}, row, {{"function", "mish"}});
    p.add("encode", "linear", {seen, p.weight({4, 4}), p.weight({4})}, context);
    p.add("encode", "elementwise", {p.weight({1})}, cache, {{"function", "copy"}});
    const auto temporary = [&](const std::vector<int>& shape) { return p.tensor("temporary", shape); };
    const auto seen_as = [&](int v, const std::vector<int>& shape) {
      return p.view(p.plan["views"][static_cast<std::size_t>(v)]["buffer"], shape);
    };
    const int both = temporary({1, 4}), wide = temporary({4, 4}), normal = temporary({4, 4});
    p.add("step", "elementwise", {row, context}, both, {{"function", "add"}});
    p.add("step", "linear", {x, p.weight({4, 4}), seen_as(both, {4})}, wide, {{"function", "gelu"}});
    p.add("step", "layer_norm", {wide, p.weight({4}), p.weight({4})}, normal, {{"epsilon", {1e-5}}});
    const int convolved = temporary({1, 2, 4}), grown = temporary({4, 4}), grouped = temporary({4, 4});
    p.add("step", "convolution", {seen_as(normal, {1, 4, 4}), p.weight({4, 4, 1, 3}), p.weight({4})},
          convolved, {{"stride", {1, 2}}, {"padding", {0, 1}}, {"dilation", {1, 1}}});
    p.add("step", "transposed_convolution", {seen_as(convolved, {2, 4}), p.weight({4, 4, 4})}, grown,
          {{"stride", {2}}, {"padding", {1}}, {"function", "silu"}});
    p.add("step", "group_norm",
          {grown, p.weight({4}), p.weight({4}), seen_as(both, {4}), seen_as(context, {4}), wide}, grouped,
          {{"groups", {2}}, {"epsilon", {1e-5}}, {"function", "mish"}});
    const int attended = temporary({2, 4, 2}), soft = temporary({4, 4}), sums = temporary({4});
    const int multiplied = temporary({1, 4, 4}), picked = temporary({2, 4});
    p.add("step", "attention",
          {seen_as(grouped, {2, 4, 2}), seen_as(grouped, {2, 4, 2}), seen_as(wide, {2, 4, 2})}, attended,
          {{"scale", {0.7}}, {"causal", {1}}});
    p.add("step", "softmax", {seen_as(attended, {4, 4})}, soft);
    p.add("step", "reduce", {soft}, sums, {{"function", "mean"}});
    p.add("step", "product", {seen_as(soft, {1, 4, 4}), seen_as(grouped, {1, 4, 4})}, multiplied);
    p.add("step", "gather", {seen_as(context, {2, 2}), p.weight({4})},
          p.view(8, {4, 2}));  // unused rows of `wide`
    p.plan["step"].erase(p.plan["step"].size() - 1);
    p.add("step", "gather", {p.weight({3, 4}), p.weight({2})}, picked);
    p.add("step", "scatter", {seen_as(context, {1, 4}), p.weight({1})}, cache);
    const int small = temporary({4, 4}), byte = temporary({4, 4});
    p.add("step", "linear", {seen_as(multiplied, {4, 4}), p.weight({4, 4}, "BF16")}, small);
    p.plan["step"].back()["inputs"].push_back(-1);
    p.add("step", "linear", {small, p.weight({4, 4}, "I8"), -1, p.weight({4})}, byte);
    p.add("step", "elementwise", {byte, seen_as(sums, {4, 1}), seen_as(cache, {3, 4})}, answer,
          {{"function", "where"}});
    p.plan["step"].back()["inputs"][2] = wide;
    return p;
  }
};

}  // namespace vla_rt::fuzzing
