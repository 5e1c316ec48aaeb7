# libvla_rt_torch.so: the libtorch backends, for C++ programs (vla_rt::torch) and for the Python module `_torch`.
execute_process(COMMAND "${Python_EXECUTABLE}" -c "import torch, pathlib; print(pathlib.Path(torch.__file__).parent, end='')"
                OUTPUT_VARIABLE torch_root COMMAND_ERROR_IS_FATAL ANY)
list(APPEND CMAKE_PREFIX_PATH "${torch_root}/share/cmake")
find_package(Torch 2.13 REQUIRED)

file(GLOB torch_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src/backends/torch/*.cpp")
add_library(vla_rt_torch SHARED ${torch_sources})
add_library(vla_rt::torch ALIAS vla_rt_torch)
target_include_directories(vla_rt_torch PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src")
target_include_directories(vla_rt_torch SYSTEM PRIVATE ${TORCH_INCLUDE_DIRS})
target_link_libraries(vla_rt_torch PUBLIC vla_rt PRIVATE vla_rt_flags ${TORCH_LIBRARIES})

set(VLA_RT_TORCH_RPATH "$ORIGIN" "$ORIGIN/../torch/lib")
if(SKBUILD_STATE STREQUAL "editable")
  list(APPEND VLA_RT_TORCH_RPATH "${torch_root}/lib")
endif()
set_target_properties(vla_rt_torch PROPERTIES INSTALL_RPATH "${VLA_RT_TORCH_RPATH}")
