# Header-only build requirements, taken from the Python environment that builds the package (pinned in
# pyproject.toml), never from the system: a system Eigen of another version would be preferred silently.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)

execute_process(
  COMMAND "${Python_EXECUTABLE}" -c "
import importlib.metadata as m
print(m.distribution('cmeel-eigen').locate_file('cmeel.prefix'), end=';')
print(m.distribution('nlohmann-json').locate_file('nlohmann_json/include'), end='')"
  OUTPUT_VARIABLE locations COMMAND_ERROR_IS_FATAL ANY)
list(GET locations 0 eigen_prefix)
list(GET locations 1 json_prefix)

# Installed beside the adapters; nothing here includes it.
find_package(Eigen3 3.4 REQUIRED NO_MODULE PATHS "${eigen_prefix}" NO_DEFAULT_PATH)

find_path(VLA_RT_JSON_INCLUDE nlohmann/json.hpp PATHS "${json_prefix}" NO_DEFAULT_PATH REQUIRED)
add_library(vla_rt_json INTERFACE)
target_include_directories(vla_rt_json SYSTEM INTERFACE "${VLA_RT_JSON_INCLUDE}")
