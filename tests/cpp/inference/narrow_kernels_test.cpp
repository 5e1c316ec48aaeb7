// Matrices of bfloat16 and int8 weights, of every instruction set, against plain loops in double; no operand
// has a byte to spare at its end.
#include "inference/kernels.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <vector>

#include "inference/flush_denormals.hpp"
#include "inference/guarded.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

struct Shape {
  int num_rows, taps, depth, outputs;
};

float bf16(float value) {  // to nearest, half to even
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

/// A narrow matrix times rows of which some share their source, in memory that ends where the numbers do.
class Product {
 public:
  Product(WeightType type, const Shape& s, float input_scale = 1.0f)
      : type_(type),
        shape_(s),
        x(count(s.num_rows + s.taps - 1) * count(s.depth)),
        bias(count(s.outputs)),
        scale(count(s.outputs)),
        weight(count(s.outputs) * count(s.taps) * count(s.depth)) {
    x.fill(1, input_scale);
    bias.fill(2);
    for (std::size_t i = 0; i < x.size(); i += 3) x[i] = std::fabs(x[i]) + input_scale;  // off centre
    const Guarded w(weight.size());
    w.fill(3);
    for (std::size_t o = 0; o < scale.size(); ++o) scale[o] = 0.01f + 0.001f * static_cast<float>(o % 7);
    for (std::size_t i = 0; i < weight.size(); ++i)
      weight[i] = type == WeightType::Int8 ? std::clamp(std::round(40 * w[i]), -127.0f, 127.0f) : bf16(w[i]);
  }

  /// Weights stored [output][tap][depth], or with neighbouring outputs.
  void run(const Kernels& k, Guarded& y, bool outputs_first, Function activation = Function::Copy) const {
    (void)timed(k, y, outputs_first, activation);
  }
  /// How long the products take.
  std::chrono::steady_clock::duration timed(const Kernels& k, Guarded& y, bool outputs_first = true,
                                            Function activation = Function::Copy) const {
    const Shape& s = shape_;
    const auto taps = static_cast<std::int64_t>(s.taps), depth = static_cast<std::int64_t>(s.depth);
    std::vector<std::uint16_t> words(weight.size());
    std::vector<std::int8_t> bytes(weight.size());
    const std::int64_t plain[3] = {taps * depth, depth, 1}, turned[3] = {1, depth * s.outputs, s.outputs};
    const auto& stride = outputs_first ? plain : turned;
    for (std::int64_t o = 0; o < s.outputs; ++o)
      for (std::int64_t t = 0; t < taps; ++t)
        for (std::int64_t d = 0; d < depth; ++d) {
          const auto to = static_cast<std::size_t>(o * stride[0] + t * stride[1] + d * stride[2]);
          const float w = at(o, t, d);
          std::uint32_t bits = 0;
          std::memcpy(&bits, &w, sizeof bits);
          words[to] = static_cast<std::uint16_t>(bits >> 16);
          if (type_ == WeightType::Int8) bytes[to] = static_cast<std::int8_t>(w);
        }
    const Guarded packed(packed_narrow_size(k, type_, s.num_rows, s.taps, s.depth, s.outputs) /
                         sizeof(float));
    const void* numbers = type_ == WeightType::Int8 ? static_cast<const void*>(bytes.data()) : words.data();
    pack_narrow(k, type_, s.num_rows, s.taps, s.depth, s.outputs, numbers, stride,
                reinterpret_cast<std::byte*>(packed.data()));
    const int sources = s.num_rows + s.taps - 1;
    const Guarded rounded(count(sources) * narrow_row_size(k, type_, s.depth) / sizeof(float)),
        factors(2 * count(sources));
    std::vector<const float*> pointers;
    for (int r = 0; r < sources; ++r) pointers.push_back(x.data() + r * depth);
    k.round_rows({type_, pointers.data(), sources, s.depth, reinterpret_cast<std::byte*>(rounded.data()),
                  factors.data()});
    std::vector<std::int32_t> rows;
    for (int r = 0; r < s.num_rows; ++r)
      for (int t = 0; t < s.taps; ++t) rows.push_back(r + t);
    const auto start = std::chrono::steady_clock::now();
    k.narrow_matrix({type_, reinterpret_cast<const std::byte*>(packed.data()), bias.data(),
                     type_ == WeightType::Int8 ? scale.data() : nullptr,
                     reinterpret_cast<const std::byte*>(rounded.data()), factors.data(), rows.data(),
                     y.data(), s.outputs, s.num_rows, s.taps, s.depth, s.outputs, activation});
    return std::chrono::steady_clock::now() - start;
  }

  [[nodiscard]] float at(std::int64_t o, std::int64_t t, std::int64_t d) const {
    return weight[static_cast<std::size_t>((o * shape_.taps + t) * shape_.depth + d)];
  }
  /// f(sum of the products, sum of their magnitudes, o) over inputs as `take` makes them; per row and output.
  template <class Take, class F>
  void exact(Take take, F f) const {
    for (int r = 0; r < shape_.num_rows; ++r)
      for (int o = 0; o < shape_.outputs; ++o) {
        double sum = 0, allowed = 0;
        for (int t = 0; t < shape_.taps; ++t) {
          const float* row = x.data() + (r + t) * shape_.depth;
          const auto [low, high] = std::minmax_element(row, row + shape_.depth);
          const double step = (std::max(*high, 0.0f) - std::min(*low, 0.0f)) / 255.0;
          for (int d = 0; d < shape_.depth; ++d) {
            sum += double{at(o, t, d)} * take(row[d]);
            allowed += std::fabs(double{at(o, t, d)}) * step;
          }
        }
        f(sum, allowed, static_cast<std::size_t>(r) * count(shape_.outputs) + count(o), count(o));
      }
  }
  static std::size_t count(int n) { return static_cast<std::size_t>(n); }

 private:
  WeightType type_;
  Shape shape_;

 public:
  Guarded x, bias, scale, weight;
};

std::vector<InstructionSet> sets() {
  std::vector<InstructionSet> found;
  for (const InstructionSet set :
       {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Bf16})
    if (set <= best_instruction_set() && kernels(set) != nullptr) found.push_back(set);
  return found;
}

template <class F>
void over_shapes(F f) {
  for (const InstructionSet set : sets())
    for (const int outputs : {1, 7, 16, 31, 65, 112, 257})
      for (const int num_rows : {1, 2, 5, 7, 13, 17})
        for (const int taps : {1, 3})
          for (const int depth : {1, 6, 33}) {
            CAPTURE(to_string(set));
            CAPTURE(outputs);
            CAPTURE(num_rows);
            CAPTURE(taps);
            CAPTURE(depth);
            f(*kernels(set), Shape{num_rows, taps, depth, outputs});
          }
}

}  // namespace

TEST_CASE("bfloat16 matrices are the products of the rounded numbers") {
  over_shapes([](const Kernels& k, const Shape& shape) {
    const Product product(WeightType::BFloat16, shape);
    Guarded y(Product::count(shape.num_rows) * Product::count(shape.outputs)), again(y.size());
    product.run(k, y, true);
    product.run(k, again, false);
    CHECK(std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0);
    double worst = 0, largest = 0;
    product.exact(bf16, [&](double sum, double, std::size_t i, std::size_t o) {
      worst = std::max(worst, std::fabs(y[i] - (sum + product.bias[o])));
      largest = std::max(largest, std::fabs(sum));
    });
    CHECK(worst <= 2e-6 * largest + 1e-6);
  });
}

TEST_CASE("int8 matrices are off by no more than half a step of every input") {
  over_shapes([](const Kernels& k, const Shape& shape) {
    const Product product(WeightType::Int8, shape, 3.0f);
    Guarded y(Product::count(shape.num_rows) * Product::count(shape.outputs)), again(y.size()),
        other(y.size());
    product.run(k, y, true);
    product.run(k, again, false);
    CHECK(std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0);
    // A whole step where the zero's rounding adds to the input's.
    int beyond = 0;
    product.exact([](float v) { return v; },
                  [&](double sum, double allowed, std::size_t i, std::size_t o) {
                    const double error = std::fabs(y[i] - (sum * product.scale[o] + product.bias[o]));
                    beyond += error > 0.51 * allowed * product.scale[o] + 1e-5 ? 1 : 0;
                  });
    CHECK(beyond == 0);
    product.run(*kernels(InstructionSet::Portable), other, true);
    double worst = 0, largest = 1e-9;
    for (std::size_t i = 0; i < y.size(); ++i) {
      worst = std::max(worst, std::fabs(double{y[i]} - other[i]));
      largest = std::max(largest, std::fabs(double{y[i]}));
    }
    CHECK(worst <= 1e-5 * largest);
  });
}

TEST_CASE("narrow matrices: NaN and infinity come out as no number, zeros and denormals as the bias") {
  for (const InstructionSet set : sets())
    for (const WeightType type : {WeightType::BFloat16, WeightType::Int8}) {
      CAPTURE(to_string(set));
      CAPTURE(static_cast<int>(type));
      Product product(type, {3, 1, 20, 18});
      Guarded y(3 * 18);
      product.x[7] = NAN;
      product.x[25] = INFINITY;
      for (std::size_t i = 40; i < 60; ++i) product.x[i] = i % 2 == 0 ? 0.0f : 1e-40f;
      product.run(*kernels(set), y, true);
      for (std::size_t o = 0; o < 18; ++o) {
        CHECK(std::isnan(y[o]));
        CHECK(!std::isfinite(y[18 + o]));
        CHECK(std::fabs(y[36 + o] - product.bias[o]) < 1e-30f);
      }
    }
}

TEST_CASE("an activation follows the sums of a narrow matrix") {
  for (const InstructionSet set : sets()) {
    const Product product(WeightType::BFloat16, {2, 1, 8, 40});
    Guarded plain(80), y(80);
    product.run(*kernels(set), plain, true);
    product.run(*kernels(set), y, true, Function::Relu);
    for (std::size_t i = 0; i < 80; ++i) CHECK(y[i] == std::max(plain[i], 0.0f));
  }
}

TEST_CASE("denormal inputs take a narrow matrix no longer than others") {
  for (const InstructionSet set : sets())
    for (const WeightType type : {WeightType::BFloat16, WeightType::Int8}) {
      const FlushDenormals flush;  // as the engine runs
      const auto quickest = [&](float scale) {
        const Product product(type, {4, 1, 300, 64}, scale);
        Guarded y(4 * 64);
        auto best = std::chrono::steady_clock::duration::max();
        for (int i = 0; i < 30; ++i) best = std::min(best, product.timed(*kernels(set), y));
        return std::chrono::duration<double>(best).count();
      };
      CAPTURE(to_string(set));
      CAPTURE(static_cast<int>(type));
      CHECK(quickest(1e-40f) < 3 * quickest(1.0f));  // a denormal costs some hundred cycles each
    }
}
