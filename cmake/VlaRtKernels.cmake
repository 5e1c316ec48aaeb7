# The native engine's kernels are compiled once per instruction set and chosen when a network is opened.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(fast -O3)
  if(VLA_RT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(fast "")  # tried, not timed
  endif()
  set(kernels "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src/inference/kernels")
  set_source_files_properties(${kernels}_portable.cpp PROPERTIES COMPILE_OPTIONS "${fast}")
  set_source_files_properties(${kernels}_avx2.cpp PROPERTIES COMPILE_OPTIONS "${fast};-mavx2;-mfma")
  set(avx512 "${fast};-mavx2;-mfma;-mavx512f;-mavx512vl;-mavx512bw;-mavx512dq;-mprefer-vector-width=512")
  list(APPEND avx512 -Wno-uninitialized -Wno-maybe-uninitialized)  # gcc 12 about its own header
  set_source_files_properties(${kernels}_avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512}")
  set_source_files_properties(
    ${kernels}_avx512_bf16.cpp PROPERTIES COMPILE_OPTIONS "${avx512};-mavx512bf16;-mavx512vnni")
endif()
