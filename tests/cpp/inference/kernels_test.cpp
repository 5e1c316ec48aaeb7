// Every kernel of every instruction set against the plain loop in double, for sizes around those of vectors
// and tiles; no operand has a float to spare at its end.
#include "inference/kernels.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "inference/function_names.hpp"
#include "inference/guarded.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

std::vector<InstructionSet> sets() {
  std::vector<InstructionSet> found;
  for (const InstructionSet set :
       {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Bf16})
    if (set <= best_instruction_set() && kernels(set) != nullptr) found.push_back(set);
  return found;
}

/// Largest difference over the largest expected number.
double error(const Guarded& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0, largest = 1e-30;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::fabs(actual[i] - expected[i]));
    largest = std::max(largest, std::fabs(expected[i]));
  }
  return worst / largest;
}

double exact(Function function, double a, double b, double c) {
  switch (function) {
    case Function::Copy:
      return a;
    case Function::Relu:
      return std::max(a, 0.0);
    case Function::Gelu:
      return 0.5 * a * (1 + std::erf(a / std::sqrt(2.0)));
    case Function::GeluTanh:
      return 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
    case Function::Silu:
      return a / (1 + std::exp(-a));
    case Function::Mish:
      return a * std::tanh(std::log1p(std::exp(a)));
    case Function::Tanh:
      return std::tanh(a);
    case Function::Sigmoid:
      return 1 / (1 + std::exp(-a));
    case Function::Softplus:
      return std::log1p(std::exp(a));
    case Function::Exp:
      return std::exp(a);
    case Function::Log:
      return std::log(a);
    case Function::Sqrt:
      return std::sqrt(a);
    case Function::Rsqrt:
      return 1 / std::sqrt(a);
    case Function::Reciprocal:
      return 1 / a;
    case Function::Negate:
      return -a;
    case Function::Absolute:
      return std::fabs(a);
    case Function::Square:
      return a * a;
    case Function::Sine:
      return std::sin(a);
    case Function::Cosine:
      return std::cos(a);
    case Function::Truncate:
      return std::trunc(a);
    case Function::Not:
      return a == 0;
    case Function::Add:
      return a + b;
    case Function::Subtract:
      return a - b;
    case Function::Multiply:
      return a * b;
    case Function::Divide:
      return a / b;
    case Function::Maximum:
      return std::max(a, b);
    case Function::Minimum:
      return std::min(a, b);
    case Function::Power:
      return std::pow(a, b);
    case Function::Less:
      return a < b;
    case Function::LessEqual:
      return a <= b;
    case Function::Equal:
      return a == b;
    case Function::NotEqual:
      return a != b;
    case Function::Where:
      return a != 0 ? b : c;
    case Function::kCount:
      break;
  }
  return 0;
}

bool wants_positive(Function f) {
  return f == Function::Log || f == Function::Sqrt || f == Function::Rsqrt || f == Function::Power ||
         f == Function::Reciprocal || f == Function::Divide;
}

}  // namespace

TEST_CASE("elementwise functions are exact to float32 over their range, at every length") {
  for (const InstructionSet set : sets())
    for (const FunctionInfo& info : kFunctions)
      for (const std::size_t n : {1u, 3u, 4u, 7u, 16u, 33u, 400u}) {
        const Guarded a(n), b(n), c(n), y(n);
        a.fill(1, 3.0f);
        b.fill(2);
        c.fill(3);
        if (n == 400)  // the whole range where it matters
          for (std::size_t i = 0; i < n; ++i) a[i] = -20.0f + 0.1f * static_cast<float>(i);
        for (std::size_t i = 0; i < n; ++i) {
          if (info.num_inputs == 3 && i % 2 == 0) a[i] = 0;
          if (i % 5 == 0 && !wants_positive(info.function)) b[i] = a[i];
          if (wants_positive(info.function)) {
            a[i] = std::fabs(a[i]) + 0.1f;
            b[i] = std::fabs(b[i]) + 0.1f;
          }
        }
        const auto length = static_cast<std::int64_t>(n);
        ElementwiseArgs args{
            info.function, info.num_inputs, {1, 1, 1, length}, {a.data(), a.data(), a.data()}, {},
            y.data(),      {0, 0, 0, 1}};
        const Guarded* operands[] = {&a, &b, &c};
        for (int i = 0; i < info.num_inputs; ++i) {
          args.input[i] = operands[i]->data();
          args.input_stride[i][3] = 1;
        }
        kernels(set)->elementwise(args);
        for (std::size_t i = 0; i < n; ++i) {
          const double expected = exact(info.function, a[i], b[i], c[i]);
          CAPTURE(to_string(set));
          CAPTURE(info.name);
          CAPTURE(a[i]);
          CHECK(std::fabs(y[i] - expected) <= 4e-7 * std::max(1.0, std::fabs(expected)));
        }
      }
}

TEST_CASE("elementwise loops follow strides and broadcast") {
  for (const InstructionSet set : sets()) {
    const Guarded a(5 * 7), b(7), y(7 * 5);  // y[j][i] = a[i][j] + b[j]
    a.fill(1);
    b.fill(2);
    kernels(set)->elementwise({Function::Add,
                               2,
                               {1, 1, 7, 5},
                               {a.data(), b.data(), a.data()},
                               {{0, 0, 1, 7}, {0, 0, 1, 0}, {}},
                               y.data(),
                               {0, 0, 5, 1}});
    for (std::size_t j = 0; j < 7; ++j)
      for (std::size_t i = 0; i < 5; ++i) CHECK(y[j * 5 + i] == a[i * 7 + j] + b[j]);
  }
}

TEST_CASE("NaN passes through every activation, and infinity gives no NaN where the function has a limit") {
  for (const InstructionSet set : sets())
    for (const Function f :
         {Function::Relu, Function::Gelu, Function::GeluTanh, Function::Silu, Function::Mish, Function::Tanh,
          Function::Sigmoid, Function::Softplus, Function::Exp}) {
      float x[3] = {NAN, 1e30f, -1e30f}, y[3];
      kernels(set)->elementwise({f, 1, {1, 1, 1, 3}, {x, x, x}, {{0, 0, 0, 1}, {}, {}}, y, {0, 0, 0, 1}});
      CAPTURE(to_string(set));
      CAPTURE(static_cast<int>(f));
      CHECK(std::isnan(y[0]));
      CHECK(!std::isnan(y[1]));
      CHECK(!std::isnan(y[2]));
    }
}

TEST_CASE("matrices: every count of rows, taps and outputs around the tiles") {
  for (const InstructionSet set : sets()) {
    const Kernels& k = *kernels(set);
    for (const int outputs : {1, 7, 16, 31, 64, 65, 112, 256, 257})
      for (const int num_rows : {1, 2, 5, 6, 7, 13})
        for (const int taps : {1, 3}) {
          const int depth = 9;
          const auto o_count = static_cast<std::size_t>(outputs),
                     r_count = static_cast<std::size_t>(num_rows), t_count = static_cast<std::size_t>(taps),
                     d_count = static_cast<std::size_t>(depth);
          const Guarded w(o_count * t_count * d_count), bias(o_count), x(r_count * t_count * d_count),
              y(r_count * o_count), packed(packed_size(k, num_rows, taps, depth, outputs));
          w.fill(1);
          bias.fill(2);
          x.fill(3);
          pack_matrix(k, num_rows, taps, depth, outputs, w.data(), {taps * depth, depth, 1}, packed.data());
          std::vector<const float*> rows;
          for (std::size_t i = 0; i < r_count * t_count; ++i) rows.push_back(x.data() + i * d_count);
          k.matrix({packed.data(), bias.data(), rows.data(), y.data(), outputs, num_rows, taps, depth,
                    outputs, Function::Tanh});
          std::vector<double> expected;
          for (std::size_t r = 0; r < r_count; ++r)
            for (std::size_t o = 0; o < o_count; ++o) {
              double sum = bias[o];
              for (std::size_t i = 0; i < t_count * d_count; ++i)
                sum += double{w[o * t_count * d_count + i]} * x[r * t_count * d_count + i];
              expected.push_back(std::tanh(sum));
            }
          CAPTURE(to_string(set));
          CAPTURE(outputs);
          CAPTURE(num_rows);
          CHECK(error(y, expected) < 2e-6);
        }
  }
}

TEST_CASE("norms, softmax and reductions over rows of every length") {
  for (const InstructionSet set : sets())
    for (const std::size_t n : {1u, 3u, 8u, 17u, 48u, 100u}) {
      const Kernels& k = *kernels(set);
      constexpr std::size_t kRows = 3;
      const Guarded x(kRows * n), weight(n), bias(n), y(kRows * n), z(kRows);
      x.fill(1, 2.0f);
      weight.fill(2);
      bias.fill(3);
      const auto length = static_cast<int>(n);
      RowsArgs args{x.data(), length,        y.data(),    length, kRows,
                    length,   weight.data(), bias.data(), 1e-5f,  Reduction::Sum};
      std::vector<double> norm, soft, mean;
      for (std::size_t r = 0; r < kRows; ++r) {
        double sum = 0, squares = 0, exps = 0;
        for (std::size_t i = 0; i < n; ++i) sum += x[r * n + i];
        for (std::size_t i = 0; i < n; ++i)
          squares += std::pow(x[r * n + i] - sum / static_cast<double>(n), 2);
        for (std::size_t i = 0; i < n; ++i) exps += std::exp(double{x[r * n + i]});
        mean.push_back(sum / static_cast<double>(n));
        for (std::size_t i = 0; i < n; ++i) {
          norm.push_back((x[r * n + i] - mean.back()) / std::sqrt(squares / static_cast<double>(n) + 1e-5) *
                             weight[i] +
                         bias[i]);
          soft.push_back(std::exp(double{x[r * n + i]}) / exps);
        }
      }
      CAPTURE(to_string(set));
      CAPTURE(n);
      k.layer_norm(args);
      CHECK(error(y, norm) < 3e-6);
      k.softmax(args);
      CHECK(error(y, soft) < 2e-6);
      args.output = z.data();
      args.output_stride = 1;
      args.reduction = Reduction::Mean;
      k.reduce(args);
      CHECK(error(z, mean) < 3e-6);
      args.reduction = Reduction::Maximum;
      k.reduce(args);
      for (std::size_t r = 0; r < kRows; ++r)
        CHECK(z[r] == *std::max_element(x.data() + r * n, x.data() + (r + 1) * n));
    }
}

TEST_CASE("group norm with FiLM, activation and residual is their composition") {
  for (const InstructionSet set : sets())
    for (const std::size_t width : {1u, 4u, 17u, 32u}) {
      constexpr std::size_t kRows = 5, kGroups = 3;
      const std::size_t channels = kGroups * width;
      const Guarded x(kRows * channels), weight(channels), bias(channels), scale(channels), shift(channels),
          residual(kRows * channels), y(kRows * channels), scratch(2 * channels);
      x.fill(1);
      weight.fill(2);
      bias.fill(3);
      scale.fill(4);
      shift.fill(5);
      residual.fill(6);
      const auto stride = static_cast<int>(channels);
      kernels(set)->group_norm({x.data(), stride, y.data(), stride, kRows, stride, kGroups, weight.data(),
                                bias.data(), scale.data(), shift.data(), residual.data(), stride, 1e-5f,
                                Function::Silu, scratch.data()});
      std::vector<double> expected(kRows * channels);
      for (std::size_t g = 0; g < kGroups; ++g) {
        double sum = 0, squares = 0;
        const auto count = static_cast<double>(kRows * width);
        for (std::size_t r = 0; r < kRows; ++r)
          for (std::size_t i = g * width; i < (g + 1) * width; ++i) sum += x[r * channels + i];
        for (std::size_t r = 0; r < kRows; ++r)
          for (std::size_t i = g * width; i < (g + 1) * width; ++i)
            squares += std::pow(x[r * channels + i] - sum / count, 2);
        for (std::size_t r = 0; r < kRows; ++r)
          for (std::size_t i = g * width; i < (g + 1) * width; ++i) {
            double v = (x[r * channels + i] - sum / count) / std::sqrt(squares / count + 1e-5);
            v = (v * weight[i] + bias[i]) * scale[i] + shift[i];
            expected[r * channels + i] = v / (1 + std::exp(-v)) + residual[r * channels + i];
          }
      }
      CAPTURE(to_string(set));
      CHECK(error(y, expected) < 3e-6);
    }
}

TEST_CASE("attention, causal and masked, and products") {
  struct Sizes {
    std::size_t queries, keys, depth, width;
  };
  for (const InstructionSet set : sets())
    for (const bool causal : {false, true})
      for (const Sizes& s :
           {Sizes{5, 7, 6, 19}, {1, 1, 1, 1}, {4, 33, 64, 64}, {9, 16, 17, 150}, {7, 3, 40, 8}}) {
        constexpr std::size_t kHeads = 2;
        const auto [queries, keys, depth, width] = s;
        const Guarded q(kHeads * queries * depth), k(kHeads * keys * depth), v(kHeads * keys * width),
            mask(keys), y(kHeads * queries * width), scores(kQueryBlock * keys), p(kHeads * queries * width),
            a(kHeads * queries * keys);
        q.fill(1);
        k.fill(2);
        v.fill(3);
        mask.fill(4);
        a.fill(5);
        AttentionArgs args{};
        args.query = q.data();
        args.key = k.data();
        args.value = v.data();
        args.mask = mask.data();
        args.output = y.data();
        const auto wide = [](std::size_t n) { return static_cast<std::int64_t>(n); };
        const auto count = [](std::size_t n) { return static_cast<int>(n); };
        args.query_stride[0] = wide(queries * depth), args.query_stride[1] = wide(depth);
        args.key_stride[0] = wide(keys * depth), args.key_stride[1] = wide(depth);
        args.value_stride[0] = wide(keys * width), args.value_stride[1] = wide(width);
        args.output_stride[0] = wide(queries * width), args.output_stride[1] = wide(width);
        args.mask_stride[2] = 1;
        args.heads = kHeads, args.queries = count(queries), args.keys = count(keys),
        args.depth = count(depth), args.value_depth = count(width);
        args.scale = 0.4f;
        args.causal = causal;
        args.scores = scores.data();
        kernels(set)->attention(args);
        kernels(set)->product({a.data(),
                               v.data(),
                               p.data(),
                               {wide(queries * keys), wide(keys), 1},
                               {wide(keys * width), wide(width)},
                               {wide(queries * width), wide(width)},
                               kHeads,
                               count(queries),
                               count(keys),
                               count(width)});
        std::vector<double> expected, products;
        for (std::size_t h = 0; h < kHeads; ++h)
          for (std::size_t i = 0; i < queries; ++i) {
            std::vector<double> w(keys, 0.0);
            double total = 0;
            for (std::size_t j = 0; j < (causal ? std::min(i + 1, keys) : keys); ++j) {
              double dot = 0;
              for (std::size_t d = 0; d < depth; ++d)
                dot += double{q[(h * queries + i) * depth + d]} * k[(h * keys + j) * depth + d];
              w[j] = std::exp(0.4 * dot + mask[j]);
              total += w[j];
            }
            for (std::size_t c = 0; c < width; ++c) {
              double sum = 0, product = 0;
              for (std::size_t j = 0; j < keys; ++j) {
                sum += w[j] / total * v[(h * keys + j) * width + c];
                product += double{a[(h * queries + i) * keys + j]} * v[(h * keys + j) * width + c];
              }
              expected.push_back(sum);
              products.push_back(product);
            }
          }
        CAPTURE(to_string(set));
        CHECK(error(y, expected) < 2e-6);
        CHECK(error(p, products) < 2e-6);
      }
}

TEST_CASE("rows are taken from and put into tables; an index outside is taken to the nearest row") {
  for (const InstructionSet set : sets()) {
    const Guarded table(4 * 5), index(6), y(6 * 5), row(5);
    table.fill(1);
    row.fill(2);
    const float indices[] = {2, -3, 99, NAN, 1e30f, 3};
    const std::size_t rows[] = {2, 0, 3, 0, 3, 3};
    std::copy_n(indices, 6, index.data());
    kernels(set)->gather({table.data(), index.data(), y.data(), 5, 1, 5, 6, 4, 5});
    for (std::size_t r = 0; r < 6; ++r)
      for (std::size_t i = 0; i < 5; ++i) CHECK(y[r * 5 + i] == table[rows[r] * 5 + i]);
    kernels(set)->scatter({row.data(), index.data(), table.data(), 5, 20, 5, 1, 4, 5});
    CHECK(std::memcmp(table.data() + 10, row.data(), 5 * sizeof(float)) == 0);
  }
}
