// A policy in pieces inside the tick: the chunks of `sample`, within the budget, nothing but computing.
#include "vla_rt/execution/inline_policy.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "execution/seven_joints.hpp"
#include "inference/native_model.hpp"
#include "instruments/allocation_count.hpp"
#include "instruments/syscall_trap.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/flight_recorder.hpp"
#include "vla_rt/execution/flight_recording.hpp"
#include "vla_rt/execution/policy_source.hpp"
#include "vla_rt/execution/simulated_robot.hpp"
#include "vla_rt/package/chunk_sampler.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr int kRows = 8, kSize = kRows * kJoints, kHidden = 32;

constexpr const char* kSpec = R"({
  "schema_version": 1, "kind": "flow_matching", "horizon": 8, "action_dim": 7, "execution_horizon": 4,
  "n_obs_steps": 1, "period_s": 0.05, "precision": "float32",
  "observation": [
    {"name": "goal", "kind": "state", "dtype": "float32", "shape": [2],
     "normalizer": {"mode": "mean_std", "convention": "lerobot", "mean": [1, 2], "std": [0.5, 4]}},
    {"name": "observation.state", "kind": "state", "dtype": "float32", "shape": [7],
     "normalizer": {"mode": "identity", "convention": "lerobot"}}],
  "action_normalizer": {"mode": "min_max", "convention": "lerobot", "min": [-0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1],
                        "max": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2]},
  "action_space": null,
  "sampler": {"type": "flow_matching", "num_steps": 10, "solver": "euler", "noise_at": 0},
  "backends": ["other"], "files": {}, "checks": {}
})";

/// The native engine on a network of random numbers; its answers can be spoilt.
class SpoiltModel final : public Model {
 public:
  SpoiltModel(const ModelSignature& signature, std::int64_t answers, std::shared_ptr<bool> spoil)
      : spoil_(std::move(spoil)) {
    std::mt19937 generator(3);
    std::normal_distribution<float> normal(0.0F, 0.2F);
    const auto random = [&](std::int64_t n) {
      std::vector<float> values(static_cast<std::size_t>(n));
      for (float& v : values) v = normal(generator);
      return values;
    };
    const std::vector<float> in = random(kHidden * kSize), out = random(answers * kHidden),
                             goal = random(kHidden * 2), state = random(kHidden * kJoints),
                             time = random(kHidden);
    using R = BufferRole;
    Plan plan;
    plan.buffers = {{R::Time, 1},           {R::Observation, 2},     {R::Observation, kJoints},
                    {R::Input, kSize},      {R::Answer, answers},    {R::Weight, 0, "in"},
                    {R::Weight, 0, "out"},  {R::Weight, 0, "goal"},  {R::Weight, 0, "state"},
                    {R::Weight, 0, "time"}, {R::Row, kHidden},       {R::Context, kHidden},
                    {R::Context, kHidden},  {R::Temporary, kHidden}, {R::Temporary, kHidden}};
    const std::array<std::array<std::int64_t, 2>, 15> shapes{{{1, 1},
                                                              {1, 2},
                                                              {1, kJoints},
                                                              {1, kSize},
                                                              {1, answers},
                                                              {kHidden, kSize},
                                                              {answers, kHidden},
                                                              {kHidden, 2},
                                                              {kHidden, kJoints},
                                                              {kHidden, 1},
                                                              {1, kHidden},
                                                              {1, kHidden},
                                                              {1, kHidden},
                                                              {1, kHidden},
                                                              {1, kHidden}}};
    for (int b = 0; b < 15; ++b) {
      const auto& shape = shapes[static_cast<std::size_t>(b)];
      plan.views.push_back({b, 0, {shape[0], shape[1]}, {shape[1], 1}});
    }
    plan.stages[0] = {{"linear", {0, 9}, 10, "", {}}};
    plan.stages[1] = {{"linear", {1, 7}, 11, "", {}}, {"linear", {2, 8, 11}, 12, "", {}}};
    plan.stages[2] = {{"elementwise", {10, 12}, 13, "add", {}},
                      {"linear", {3, 5, 13}, 14, "mish", {}},
                      {"linear", {14, 6}, 4, "sigmoid", {}}};
    native_ = std::make_unique<NativeModel>(
        plan, PlanWeights{{"in", in}, {"out", out}, {"goal", goal}, {"state", state}, {"time", time}},
        signature, best_instruction_set());
  }
  std::span<const TensorSpec> observation_spec() const noexcept override {
    return native_->observation_spec();
  }
  int horizon() const noexcept override { return native_->horizon(); }
  int action_dim() const noexcept override { return native_->action_dim(); }
  std::size_t output_size() const noexcept override { return native_->output_size(); }
  std::string backend() const override { return "native"; }
  bool is_realtime() const noexcept override { return true; }
  void prepare(std::span<const double> times) override { native_->prepare(times); }
  void encode(std::span<const TensorView> observation) override { native_->encode(observation); }
  void step(std::span<const float> x, int k, std::span<float> out) override {
    native_->step(x, k, out);
    if (*spoil_) out[5] = NAN;
  }

 private:
  std::unique_ptr<NativeModel> native_;
  std::shared_ptr<bool> spoil_;
};

std::shared_ptr<Policy> make_policy(const SamplerSpec& sampler = FlowMatchingOptions{},
                                    std::shared_ptr<bool> spoil = std::make_shared<bool>(false)) {
  PolicySpec spec = parse_policy_spec(kSpec);
  spec.sampler = sampler;
  const auto* direct = std::get_if<DirectOptions>(&sampler);
  const std::int64_t answers = direct != nullptr && direct->head == DirectHead::Normal ? 2 * kSize : kSize;
  auto model = std::make_unique<SpoiltModel>(signature_of(spec), answers, std::move(spoil));
  return std::make_shared<Policy>(spec, std::move(model));
}

RobotState state_at(TimeNs time) {
  RobotState state;
  state.num_joints = kJoints;
  state.time_ns = time;
  for (std::size_t j = 0; j < kJoints; ++j) state.position[j] = 0.01 * static_cast<double>(j);
  return state;
}

Observation goal(double value = 0.5) {
  Observation observation;
  observation.set("goal", std::array{value, -1.0});
  return observation;
}

Observation whole_observation(const RobotState& state) {
  Observation observation = goal();
  observation.set("observation.state", std::span(state.position.data(), kJoints));
  observation.time_ns = state.time_ns;
  return observation;
}

ChunkExecutorConfig executor_config() {
  ChunkExecutorConfig config;
  config.action_dim = kJoints;
  config.period_s = 0.05;
  config.mode = ExecutionMode::Async;
  config.execution_horizon = 4;
  return config;
}

/// A clock on which everything takes 10 us.
TimeNs fake_time = 0;
TimeNs fake_clock() noexcept { return fake_time += 10'000; }

constexpr TimeNs kPeriod = 1'000'000, kFar = INT64_MAX;

struct TemporaryFile {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("vla_rt_inline_" + std::to_string(std::random_device{}())))
          .string();
  TemporaryFile() = default;
  ~TemporaryFile() { std::filesystem::remove(path); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
};

FlightSetup setup_for(const ChunkExecutor& executor) {
  FlightSetup setup;
  setup.limits = seven_joint_limits();
  setup.executor = executor.config();
  return setup;
}

/// An arm at home whose goal the policy is told.
class Arm final : public SimulatedRobot {
 public:
  Arm() : SimulatedRobot(seven_joint_limits(), std::array<double, kJoints>{}) {}
  void observe(const RobotState& state, Observation& observation) override {
    SimulatedRobot::observe(state, observation);
    observation.set("goal", std::array{0.5, -1.0});
  }
};

ControlConfig loop_config() {
  ControlConfig config;
  config.limits = seven_joint_limits();
  config.controller = controller_config();
  config.controller.executor.mode = ExecutionMode::Async;
  config.controller.executor.execution_horizon = 4;
  config.realtime.lock_memory = false;
  config.inference.inline_budget_s = 0.0008;
  return config;
}

}  // namespace

TEST_CASE("chunks in pieces have the bits of chunks in one go, with every sampler, and allocate nothing") {
  DPMSolverOptions dpm;
  dpm.solver_order = 3;
  dpm.num_steps = 7;
  dpm.algorithm_type = DPMAlgorithm::SDEDPMSolverPlusPlus;
  DiffusionOptions ddpm;
  ddpm.num_train_steps = 40;
  ddpm.num_steps = 20;
  DDIMOptions ddim;
  ddim.num_steps = 6;
  ddim.eta = 0.7;
  ConsistencyOptions consistency;
  consistency.num_steps = 3;
  const std::vector<SamplerSpec> samplers{FlowMatchingOptions{10, OdeSolver::Euler, 0},
                                          FlowMatchingOptions{4, OdeSolver::Midpoint, 1},
                                          FlowMatchingOptions{4, OdeSolver::Heun, 0},
                                          FlowMatchingOptions{3, OdeSolver::Rk4, 1},
                                          ddpm,
                                          ddim,
                                          dpm,
                                          consistency,
                                          DirectOptions{},
                                          DirectOptions{DirectHead::Normal, DirectChoice::Sample}};
  const RobotState state = state_at(5);
  for (std::size_t i = 0; i < samplers.size(); ++i) {
    CAPTURE(i);
    const auto policy = make_policy(samplers[i]);
    ActionChunk whole, pieces;
    policy->sample(whole_observation(state), {7, i}, whole);
    {
      ChunkSampler sampler(policy);
      std::array<float, kJoints> position{};
      std::copy_n(state.position.begin(), kJoints, position.begin());
      const long before = allocations();
      REQUIRE(sampler.set_feature(0, std::array{0.5F, -1.0F}));
      REQUIRE(sampler.set_feature(1, position));
      CHECK_FALSE(sampler.set_feature(1, std::array{1.0F}));
      CHECK_FALSE(sampler.set_feature(0, std::array{1.0F, NAN}));
      sampler.begin({7, i});
      int steps = -1;
      for (; sampler.next() != ChunkSampler::Piece::Done; ++steps) REQUIRE(sampler.advance());
      REQUIRE(sampler.write(pieces));
      CHECK(allocations() == before);
      CHECK(steps == sampler.num_steps());
      CHECK(pieces.period_ns == whole.period_ns);
      CHECK_THROWS_AS(policy->sample(whole_observation(state), 0, pieces), VlaRtError);
      CHECK_THROWS_AS(ChunkSampler{policy}, VlaRtError);
    }
    CHECK(std::equal(whole.values.begin(), whole.values.begin() + kSize, pieces.values.begin()));
    policy->sample(whole_observation(state), 0, pieces);  // free again
  }
}

TEST_CASE("a chunk is spread over as many ticks as its pieces need, none over the budget") {
  ChunkExecutor executor(executor_config());
  InlinePolicy policy(make_policy(), executor, {35e-6, 0, 7, &fake_clock});
  const InlineFigures measured = policy.figures();
  CHECK(measured.encode_s == doctest::Approx(10e-6));
  CHECK(measured.step_s == doctest::Approx(10e-6));
  CHECK(measured.hand_over_s == doctest::Approx(10e-6));
  CHECK(measured.num_steps == 10);

  CHECK_FALSE(policy.advance(state_at(0), 0, kFar));  // no goal yet
  policy.post(goal());
  // 12 pieces of 10 us, three a tick: the third ends at 30 us, a fourth would end at 40.
  std::vector<bool> done;
  for (int tick = 1; tick <= 4; ++tick) {
    const TimeNs begin = fake_time;
    done.push_back(policy.advance(state_at(tick * kPeriod), tick * kPeriod, kFar));
    CHECK(fake_time - begin == 40'000);  // one look at the clock before the first piece and one after each
  }
  CHECK(done == std::vector{false, false, false, true});
  const InlineFigures figures = policy.figures();
  CHECK(figures.ticks == 4);
  CHECK(figures.most_ticks == 4);
  CHECK(figures.over_budget == 0);
  const InferenceStats stats = policy.stats();
  CHECK(stats.chunks == 1);
  REQUIRE(stats.handovers.size() == 1);
  CHECK(stats.handovers[0].delay_ns == 3 * kPeriod + 20'000);

  // The observation's time is that of the tick that encoded, and the numbers are those of `sample`.
  ActionChunk whole;
  make_policy()->sample(whole_observation(state_at(kPeriod)), {7, 0}, whole);
  std::array<double, kJoints> position{}, velocity{};
  for (int t = 1; t < kRows; ++t) {
    executor.at(kPeriod + t * 50'000'000, position, velocity);
    for (std::size_t j = 0; j < kJoints; ++j) CHECK(position[j] == doctest::Approx(whole.row(t)[j]));
  }
}

TEST_CASE("a late tick leaves less, or nothing") {
  ChunkExecutor executor(executor_config());
  InlinePolicy policy(make_policy(), executor, {100e-6, 0, 0, &fake_clock});
  policy.post(goal());
  const auto pieces = [&](TimeNs left) {
    const TimeNs begin = fake_time + 10'000;  // the first look
    policy.advance(state_at(1), 1, begin + left);
    return (fake_time - begin) / 10'000;
  };
  CHECK(pieces(9'000) == 0);
  CHECK(pieces(-5'000'000) == 0);
  CHECK(pieces(10'000) == 1);
  CHECK(pieces(25'000) == 2);
  CHECK(policy.stats().chunks == 0);
}

TEST_CASE("what cannot run inside the tick is refused with both figures") {
  ChunkExecutor executor(executor_config());
  const auto refusal = [&](auto&& make) -> std::string {
    try {
      make();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string slow = refusal([&] { InlinePolicy(make_policy(), executor, {5e-6, 0, 0, &fake_clock}); });
  CHECK(slow.find("inline_budget_s = 5e-06: must be at least 1e-05 s") == 0);
  CHECK(slow.find("one encode took") != std::string::npos);
  const std::string real = refusal([&] { InlinePolicy(make_policy(), executor, {1e-8, 0, 0, nullptr}); });
  CHECK(real.find("inline_budget_s = 1e-08: must be at least ") == 0);

  ChunkExecutorConfig rtc = executor_config(), other = executor_config(), slower = executor_config();
  rtc.mode = ExecutionMode::Rtc;
  other.action_dim = 6;
  slower.period_s = 0.1;
  for (const auto& [config, field] :
       {std::pair{rtc, "mode"}, {other, "action_dim"}, {slower, "chunk_period_s"}}) {
    ChunkExecutor wrong(config);
    CHECK(refusal([&, &c = wrong] { InlinePolicy(make_policy(), c, {1e-3}); }).find(field) == 0);
  }
  CHECK(refusal([&] { InlinePolicy(nullptr, executor, {1e-3}); }).find("policy") == 0);
  for (const double budget : {0.0, -1.0, 2.0, static_cast<double>(NAN)})
    CHECK(refusal([&] { InlinePolicy(make_policy(), executor, {budget}); }).find("inline_budget_s") == 0);
  InlinePolicy(make_policy(), executor, {1.0});
}

TEST_CASE("bad numbers cost their chunk and are told; the next one comes") {
  const auto spoil = std::make_shared<bool>(false);
  ControllerConfig config = controller_config();
  config.executor = executor_config();
  config.watchdog_s = 0;
  Controller controller(config, seven_joint_limits());
  controller.reset(std::array<double, kJoints>{});
  InlinePolicy policy(make_policy({}, spoil), controller, {200e-6, 0, 0, &fake_clock});
  policy.post(goal());
  RobotCommand command;
  TimeNs now = 0;
  const auto tick = [&](double position = 0) {
    RobotState state;
    state.num_joints = kJoints;
    state.time_ns = now += kPeriod;
    state.position.fill(position);
    const Status status = controller.tick(now, state, command);
    policy.advance(state, now, kFar);
    return status;
  };
  *spoil = true;
  tick();
  CHECK(policy.stats().failures == 1);
  CHECK(policy.stats().last_error == "denoiser output[5]: must be finite");
  for (int i = 0; i < 19; ++i) tick();
  CHECK(policy.stats().failures == 1);  // tried again after 20 ms, not at once
  *spoil = false;
  for (int i = 0; i < 5; ++i) tick();
  CHECK(policy.stats().chunks >= 1);
  CHECK(tick() <= Status::Limited);

  policy.post(goal(NAN));  // the newest observation is bad: shown, and the plan goes on
  bool shown = false;
  for (int i = 0; i < 400 && !shown; ++i) shown = tick() == Status::NonFinite;
  CHECK(shown);
  CHECK(policy.stats().refused >= 1);
  policy.post(goal());
  for (int i = 0; i < 40; ++i) tick();
  CHECK(policy.stats().chunks >= 2);
  CHECK(tick() <= Status::Limited);

  policy.request_stop();
  const std::uint64_t chunks = policy.stats().chunks;
  for (int i = 0; i < 1000; ++i) tick();
  CHECK(policy.stats().chunks == chunks);
  policy.reset();
  policy.post(goal());
  tick();
  CHECK(policy.stats().chunks == 1);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("ticks with a policy inside allocate nothing and make no system call") {
  ControllerConfig config = controller_config();
  config.executor = executor_config();
  Controller controller(config, seven_joint_limits());
  controller.reset(std::array<double, kJoints>{});
  InlinePolicy policy(make_policy(), controller, {1.0});
  policy.post(goal());
  const TemporaryFile file;
  FlightRecorder recorder(file.path, setup_for(controller.executor()));
  RobotCommand command;
  TimeNs now = 0;
  std::uint64_t handed_over = 0;
  const auto run = [&](int ticks) {
    RobotState state;
    state.num_joints = kJoints;
    for (int i = 0; i < ticks; ++i) {
      state.time_ns = now += kPeriod;
      controller.tick(now, state, command);
      state.position = command.position;
      handed_over += policy.advance(state, now, kFar, &recorder);
    }
  };
  run(300);
  const long before = allocations();
  handed_over = 0;
  run(1000);
  CHECK(allocations() == before);
  CHECK(handed_over >= 4);
  const int code = syscall_trap::exit_code_of([&] {
    syscall_trap::arm();
    run(1000);
    _exit(handed_over > 4 ? syscall_trap::kClean : syscall_trap::kUnknown);
  });
  CHECK((code == syscall_trap::kClean || code == syscall_trap::kNoFilter));
}
#endif

TEST_CASE("a control loop runs the policy in its tick, and says so") {
  ControlConfig config = loop_config();
  ControlLoop loop(std::make_shared<Arm>(), std::make_shared<PolicySource>(make_policy(), 7), config);
  for (int run = 0; run < 2; ++run) {
    const RunReport report = loop.run(0.7);
    CHECK(report.inference.chunks >= 3);
    CHECK(report.inference.failures == 0);
    CHECK(report.limit_violations == 0);
    CHECK(report.fault.reason == FaultReason::None);
    REQUIRE(report.in_tick);
    CHECK(report.in_tick->num_steps == 10);
    CHECK(report.in_tick->ticks >= report.inference.chunks);
  }

  config.inference.inline_budget_s = 0.0009;
  CHECK_THROWS_AS(ControlLoop(std::make_shared<Arm>(), std::make_shared<PolicySource>(make_policy()), config),
                  ConfigError);
  config.inference.inline_budget_s = 0.0005;
  class Elsewhere final : public ChunkSource {
    void infer(const Observation& /*observation*/, ActionChunk& /*chunk*/) override {}
  };
  CHECK_THROWS_AS(ControlLoop(std::make_shared<Arm>(), std::make_shared<Elsewhere>(), config), ConfigError);
}

TEST_CASE("a recording holds the chunks made inside the tick, and replays bit by bit") {
  ControlConfig config = loop_config();
  SUBCASE("async") {}
  SUBCASE("receding") { config.controller.executor.mode = ExecutionMode::Receding; }
  SUBCASE("ensemble") { config.controller.executor.mode = ExecutionMode::Ensemble; }
  const TemporaryFile file;
  config.record = file.path;
  ControlLoop loop(std::make_shared<Arm>(), std::make_shared<PolicySource>(make_policy(), 7), config);
  for (int run = 0; run < 2; ++run) {
    const RunReport report = loop.run(0.7);
    REQUIRE(report.inference.chunks >= 3);
    CHECK(report.unrecorded == 0);
    const FlightRecording recording(config.record);
    CHECK(recording.chunks().size() == report.inference.chunks);
    CHECK(recording.num_ticks() == report.ticks);
    const FlightReplay replay = recording.replay();
    CHECK_FALSE(replay.difference.has_value());
    CHECK(replay.missing_chunks == 0);
    CHECK(replay.executor_ticks == report.ticks);
    CHECK(replay.enforcer_ticks == report.ticks);
  }
}

TEST_CASE(
    "a recording tells what became of a chunk made inside the tick, and nothing of one not handed over") {
  ChunkExecutor executor(executor_config());
  InlinePolicy policy(make_policy(), executor, {200e-6, 0, 7, &fake_clock});
  policy.post(goal());
  const TemporaryFile file;
  FlightRecorder recorder(file.path, setup_for(executor));
  JointArray position{}, velocity{};
  executor.at(kPeriod, position, velocity);
  REQUIRE(policy.advance(state_at(kPeriod), kPeriod, kFar, &recorder));
  // The next one answers an observation all of whose rows are over when the tick hands it over.
  const TimeNs late = 5'000 * kPeriod;
  executor.at(late, position, velocity);
  CHECK_FALSE(policy.advance(state_at(2 * kPeriod), late, kFar, &recorder));
  CHECK(policy.stats().refused == 1);
  recorder.close();
  const FlightRecording recording(file.path);
  REQUIRE(recording.chunks().size() == 2);
  const FlightChunk& first = *recording.chunks()[0];
  CHECK(first.result == PushResult::Accepted);
  CHECK(first.planned.now == kPeriod);
  CHECK(first.planned.number == 1);
  CHECK(first.time_ns == kPeriod + 110'000);  // the twelfth piece of 10 us
  CHECK(first.chunk.sequence == 1);
  ActionChunk whole;
  make_policy()->sample(whole_observation(state_at(kPeriod)), {7, 0}, whole);
  CHECK(std::equal(whole.values.begin(), whole.values.begin() + kSize, first.chunk.values.begin()));
  const FlightChunk& second = *recording.chunks()[1];
  CHECK(second.result == PushResult::Past);
  CHECK(second.planned.number == 1);
}
