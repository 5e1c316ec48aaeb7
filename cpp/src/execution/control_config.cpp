#include "vla_rt/execution/control_config.hpp"

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

void ControlConfig::validate() const {
  if (limits.num_joints != 0) limits.validate();
  controller.validate();
  const std::optional<CartesianConfig>& cartesian = controller.cartesian;
  ChunkExecutorConfig executor =
      cartesian ? CartesianActions::executor_config(*cartesian, controller.executor) : controller.executor;
  if (executor.action_dim == 0)
    executor.action_dim = limits.num_joints != 0 ? limits.num_joints : kMaxActionDim;
  if (executor.period_s == 0) executor.period_s = 0.05;
  if (limits.num_joints != 0 && !executor.limits && !cartesian) executor.limits = limits;
  if (executor.limits || executor.on_starvation == StarvationPolicy::Hold) executor.validate();
  inference.validate();
  if (const double most = 0.8 * controller.period_s; inference.inline_budget_s > most)
    throw ConfigError("inline_budget_s", number(inference.inline_budget_s),
                      "must be at most 4/5 of the period, " + number(most) + " s");
  RealtimeConfig thread = realtime;
  thread.period_ns = from_seconds(controller.period_s);
  if (thread.period_ns < 10'000)
    throw ConfigError("period_s", number(controller.period_s),
                      "must be at least 1e-5 s for a thread of its own");
  thread.validate();
  if (!(first_state_timeout_s > 0 && first_state_timeout_s <= 3600))
    throw ConfigError("first_state_timeout_s", number(first_state_timeout_s), "must be in (0, 3600] s");
  if (!(record_max_mb >= 1 && record_max_mb <= 1e6))
    throw ConfigError("record_max_mb", number(record_max_mb), "must be in [1, 1e6] MiB");
  if (!(trace_s >= 0 && trace_s <= 86400))
    throw ConfigError("trace_s", number(trace_s), "must be in [0, 86400] s");
}

}  // namespace vla_rt
