# _core: every room, never torch.  _torch: the libtorch backend, only when asked for.
set(PYBIND11_FINDPYTHON ON)
execute_process(COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir OUTPUT_VARIABLE pybind11_DIR
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_package(pybind11 3.1 CONFIG REQUIRED)

set(bindings "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src/bindings")
file(GLOB core_sources CONFIGURE_DEPENDS "${bindings}/bind_*.cpp")
pybind11_add_module(_core MODULE NO_EXTRAS "${bindings}/module_core.cpp" ${core_sources})
target_link_libraries(_core PRIVATE vla_rt vla_rt_flags)
target_compile_options(_core PRIVATE -O1)  # argument handling only: what takes time lives in the rooms
target_include_directories(_core PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src")
target_compile_definitions(_core PRIVATE VLA_RT_VERSION="${PROJECT_VERSION}")
# Compiled in eights: most of the time goes into the same templates of pybind11 in every file.
set_target_properties(_core PROPERTIES INSTALL_RPATH "$ORIGIN" UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
install(TARGETS _core LIBRARY DESTINATION vla_rt)

if(VLA_RT_WITH_TORCH)
  target_compile_definitions(_core PRIVATE VLA_RT_TORCH_VERSION="${Torch_VERSION}")
  pybind11_add_module(_torch MODULE NO_EXTRAS "${bindings}/module_torch.cpp")
  target_link_libraries(_torch PRIVATE vla_rt_torch vla_rt_flags)
  set_target_properties(_torch PROPERTIES INSTALL_RPATH "${VLA_RT_TORCH_RPATH}")
  install(TARGETS _torch LIBRARY DESTINATION vla_rt)
endif()
