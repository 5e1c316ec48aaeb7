#pragma once
#include <string>

namespace vla_rt::testing {

/// A `policy.json` that uses every part of the format.
inline const std::string kDocument = R"({
  "schema_version": 1,
  "kind": "flow_matching",
  "horizon": 2,
  "action_dim": 3,
  "execution_horizon": 1,
  "n_obs_steps": 1,
  "period_s": 0.05,
  "precision": "float32",
  "observation": [
    {"name": "observation.state", "kind": "state", "dtype": "float32", "shape": [2],
     "normalizer": {"mode": "mean_std", "convention": "lerobot", "mean": [1, 2], "std": [0.5, 4]}},
    {"name": "camera", "kind": "image", "dtype": "float32", "shape": [3, 1, 2],
     "normalizer": {"mode": "mean_std", "convention": "lerobot", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 1]}},
    {"name": "task", "kind": "state", "dtype": "int64", "shape": [1],
     "normalizer": {"mode": "identity", "convention": "lerobot"}}
  ],
  "action_normalizer": {"mode": "min_max", "convention": "lerobot", "min": [-1, 0, 0], "max": [1, 10, 4],
                        "mask": [true, true, false]},
  "action_space": {"type": "joint_position", "lower": [-1, 0, -9], "upper": [1, 10, 9]},
  "sampler": {"type": "flow_matching", "num_steps": 4, "solver": "euler", "noise_at": 0},
  "backends": ["torchscript", "other"],
  "files": {"model.ts": {"bytes": 10, "crc32": "261daee5"}},
  "checks": {"torch": "2.13.0", "torchscript_max_error": 1e-7}
})";

}  // namespace vla_rt::testing
