# The C++ package: libraries, public headers, Eigen's dense headers and `find_package(vla_rt)`. In a wheel it lies inside the
# Python package, whose folder is the prefix; `cmake --install` lays it out as other libraries are.
include(CMakePackageConfigHelpers)
if(SKBUILD)
  set(lib_dir vla_rt)
  set(include_dir vla_rt/include)
  set(share_dir vla_rt/share)
else()
  include(GNUInstallDirs)
  set(lib_dir "${CMAKE_INSTALL_LIBDIR}")
  set(include_dir "${CMAKE_INSTALL_INCLUDEDIR}")
  set(share_dir "${CMAKE_INSTALL_DATADIR}")
endif()
set(config_dir "${share_dir}/cmake/vla_rt")
set(eigen_dir "${include_dir}/vla_rt_eigen3")

# One export for each library, so that the one without torch stands alone.
function(vla_rt_export target name)
  target_include_directories(${target} INTERFACE "$<INSTALL_INTERFACE:${include_dir}>")
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${target} EXPORT vla_rt_${name} LIBRARY DESTINATION "${lib_dir}")
  install(EXPORT vla_rt_${name} NAMESPACE vla_rt:: FILE vla_rt-${name}.cmake DESTINATION "${config_dir}")
endfunction()

vla_rt_export(vla_rt core)
install(DIRECTORY cpp/include/vla_rt DESTINATION "${include_dir}" PATTERN backends EXCLUDE)
if(VLA_RT_WITH_TORCH)
  vla_rt_export(vla_rt_torch torch)
  install(DIRECTORY cpp/include/vla_rt/backends DESTINATION "${include_dir}/vla_rt")
endif()

# The part of Eigen that is under MPL 2.0 and BSD only. Not in an editable install, whose headers are those of the tree.
if(NOT SKBUILD_STATE STREQUAL "editable")
  get_target_property(eigen_source Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  set(modules Cholesky Core Eigenvalues Geometry Householder Jacobi LU QR SVD)
  list(TRANSFORM modules PREPEND "${eigen_source}/Eigen/" OUTPUT_VARIABLE module_headers)
  install(FILES ${module_headers} "${eigen_source}/Eigen/Dense" "${eigen_source}/Eigen/StdVector" DESTINATION "${eigen_dir}/Eigen")
  list(TRANSFORM modules PREPEND "${eigen_source}/Eigen/src/" OUTPUT_VARIABLE module_folders)
  install(DIRECTORY ${module_folders} "${eigen_source}/Eigen/src/StlSupport" "${eigen_source}/Eigen/src/misc"
          "${eigen_source}/Eigen/src/plugins" DESTINATION "${eigen_dir}/Eigen/src")
endif()
install(FILES cmake/licenses/Eigen.txt cmake/licenses/nlohmann-json.txt LICENSE DESTINATION "${share_dir}/licenses/vla_rt")

configure_package_config_file(cmake/vla_rt-config.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/vla_rt-config.cmake"
                              INSTALL_DESTINATION "${config_dir}" PATH_VARS include_dir eigen_dir)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/vla_rt-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vla_rt-config.cmake" "${CMAKE_CURRENT_BINARY_DIR}/vla_rt-config-version.cmake"
        DESTINATION "${config_dir}")
