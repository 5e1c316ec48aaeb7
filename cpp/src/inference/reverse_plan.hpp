#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "inference/plan.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A plan that differentiates the step of another one: out = (d answer / d x)^T c.
///
/// Its own stages prepare and encode are empty; step runs the other's step and then backwards through it. Its
/// buffer of role Input holds x and then c, that of role Answer the product; those of role Row and of role
/// Context, which here are of role Observation, are to be copied from the other's, in order.
struct ReversePlan {
  Plan plan;
  std::deque<std::vector<float>> constants;  ///< weights of its own
  PlanWeights weights;                       ///< the other's and the constants; to be moved, not copied
};

/// The plan with the matrices of its step in float32, whatever they were: adds them to weights and numbers.
[[nodiscard]] Plan widened(Plan plan, PlanWeights& weights, std::deque<std::vector<float>>& numbers);

/// Of a plan that `check_plan` and `bind_plan` took. Throws ModelError naming the operation that has no
/// derivative here.
[[nodiscard]] VLA_RT_API ReversePlan reverse_plan(const Plan& plan, const PlanWeights& weights);

/// Writes the reverse plan operation by operation. Views are numbers of the plan's list.
class ReverseBuilder {
 public:
  ReverseBuilder(const Plan& plan, const PlanWeights& weights);
  [[nodiscard]] ReversePlan build();

 private:
  using Shape = std::vector<std::int64_t>;
  using Numbers = std::map<std::string, std::vector<double>>;

  // reverse_plan.cpp
  void copy_forward(const PlanOperation& operation);
  void note_use(const PlanOperation& operation, const std::string& field);
  void reverse(std::size_t index);
  [[nodiscard]] bool depends(int view) const;
  [[nodiscard]] bool depends(const PlanOperation& operation, std::size_t input) const;
  [[noreturn]] void refuse(const std::string& why) const;
  int add_buffer(BufferRole role, std::int64_t size);
  int add_view(int buffer, std::int64_t offset, Shape shape, Shape strides);
  /// A temporary of its own.
  int fresh(const Shape& shape);
  /// One number for every element.
  int constant(float value);
  int constant(std::vector<float> values, const Shape& shape);
  void emit(const std::string& name, std::vector<int> inputs, int output, const std::string& function = "",
            Numbers numbers = {});
  /// A new tensor of the function's values.
  int calculate(const char* function, std::vector<int> inputs, const Shape& shape);
  /// The gradient of a view of the other plan, seen with the same or another shape.
  int gradient(const PlanView& view);
  /// Adds a contribution of the view's shape to its gradient, summed where the view repeats elements.
  void accumulate(const PlanView& view, int contribution);
  // By value: the list grows.
  [[nodiscard]] PlanView view(int index) const { return out_.plan.views[static_cast<std::size_t>(index)]; }
  [[nodiscard]] Shape shape(int index) const { return view(index).shape; }

  // reverse_functions.cpp
  void reverse_elementwise(const PlanOperation& operation, int dy);
  /// dy times the derivative of a function of one operand, whose value is y; -1 where that is zero.
  int chain(const std::string& function, int x, int y, int dy);
  int multiply(int a, int b) { return calculate("multiply", {a, b}, shape(a)); }
  int add(int a, int b) { return calculate("add", {a, b}, shape(a)); }
  int scaled(int a, float factor) { return calculate("multiply", {a, constant(factor)}, shape(a)); }

  // reverse_layers.cpp
  void reverse_linear(const PlanOperation& operation, int dy);
  void reverse_convolution(const PlanOperation& operation, int dy);
  void reverse_transposed_convolution(const PlanOperation& operation, int dy);
  void reverse_bias(const PlanOperation& operation, int dy);
  void reverse_layer_norm(const PlanOperation& operation, int dy);
  void reverse_group_norm(const PlanOperation& operation, int dy);
  void reverse_softmax(const PlanOperation& operation, int dy);
  void reverse_reduce(const PlanOperation& operation, int dy);
  void reverse_product(const PlanOperation& operation, int dy);
  void reverse_attention(const PlanOperation& operation, int dy);
  /// Of rows (R, n) normalised to mean 0 and variance 1: the gradient of x from that of the result.
  int normalised_gradient(int x, int g, double epsilon);
  /// Of rows (..., n) of a softmax: the gradient of its argument.
  int softmax_gradient(int y, int dy);
  /// (B, M, N) as (B, N, M): as another view, or copied where columns must be neighbours.
  int transposed(int matrix);
  int transposed_copy(int matrix);
  int product(int a, int b);
  /// All axes but the last folded, which `bind_plan` has found possible.
  int folded(int view);

  ReversePlan out_;
  const Plan plan_;                               // the other one, its weights float32
  std::vector<bool> depends_;                     // by buffer of the other plan: it holds what follows from x
  std::vector<int> gradient_;                     // by buffer: that of its gradient, -1: not touched yet
  std::map<float, int> constants_;                // views
  std::vector<int> preactivation_;                // by operation: what its activation was applied to, or -1
  std::vector<std::vector<std::uint8_t>> state_;  // by buffer and element: written, read
  std::string now_;                               // the operation, for complaints
};

}  // namespace vla_rt
