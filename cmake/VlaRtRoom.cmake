# Flags shared by everything that is compiled here.
add_library(vla_rt_flags INTERFACE)
target_compile_options(vla_rt_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                              -Woverloaded-virtual -Werror -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12 and doctest about their own headers, and gcc's names of warnings.
  target_compile_options(vla_rt_flags INTERFACE -Wno-deprecated-declarations -Wno-c2y-extensions
                                                -Wno-unknown-warning-option)
endif()
if(VLA_RT_SANITIZE)
  # gcc takes an instrumented, replaced operator new for another function than the one its delete belongs to.
  target_compile_options(vla_rt_flags INTERFACE -fsanitize=${VLA_RT_SANITIZE} -fno-omit-frame-pointer -g1
                                                -Wno-mismatched-new-delete)
  target_link_options(vla_rt_flags INTERFACE -fsanitize=${VLA_RT_SANITIZE})
endif()

set(VLA_RT_ROOMS "" CACHE INTERNAL "")

# vla_rt_room(<name> [DEPENDS <room>...] [LIBRARIES <target>...])
# Objects of cpp/src/<name>/*.cpp; header-only rooms become interface targets.
function(vla_rt_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src/${name}/*.cpp")
  set(target vla_rt_${name})
  if(sources)
    add_library(${target} OBJECT ${sources})
    set(scope PUBLIC)
    target_compile_definitions(${target} PRIVATE VLA_RT_BUILDING)
    target_link_libraries(${target} PRIVATE vla_rt_flags ${ROOM_LIBRARIES})
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/cpp/src")
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "${CMAKE_CURRENT_SOURCE_DIR}/cpp/include")
  foreach(dependency IN LISTS ROOM_DEPENDS)
    target_link_libraries(${target} ${scope} vla_rt_${dependency})
  endforeach()
  set(VLA_RT_ROOMS ${VLA_RT_ROOMS} ${name} CACHE INTERNAL "")
endfunction()

# libvla_rt.so from the objects of all rooms; `_core`, `_torch` and embedders link this one library.
function(vla_rt_library)
  add_library(vla_rt SHARED)
  add_library(vla_rt::core ALIAS vla_rt)
  foreach(room IN LISTS VLA_RT_ROOMS)
    get_target_property(type vla_rt_${room} TYPE)
    if(type STREQUAL "OBJECT_LIBRARY")
      target_sources(vla_rt PRIVATE $<TARGET_OBJECTS:vla_rt_${room}>)
    endif()
  endforeach()
  target_include_directories(vla_rt PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/cpp/include>")
  target_compile_features(vla_rt PUBLIC cxx_std_20)
  find_package(Threads REQUIRED)
  target_link_libraries(vla_rt PUBLIC Threads::Threads PRIVATE vla_rt_flags ${CMAKE_DL_LIBS})
  if(NOT VLA_RT_SANITIZE)  # whose run-time comes with the program
    target_link_options(vla_rt PRIVATE -Wl,--no-undefined)
  endif()
  set_target_properties(vla_rt PROPERTIES LINKER_LANGUAGE CXX INSTALL_RPATH "$ORIGIN" BUILD_RPATH "$ORIGIN")
endfunction()
