# What `cmake --install` puts where, and the package that find_package(stoa) reads. An installed Stoa is included by the same
# paths as here: "stoa/parallel/mesh.h". Targets are stoa::stoa_base, stoa::stoa_parallel and so on.
include(CMakePackageConfigHelpers)

# Libraries of tests are declared by the same function, but stay at home.
get_property(stoa_declared GLOBAL PROPERTY STOA_LIBRARIES)
set(stoa_installed "")
foreach(library ${stoa_declared})
  get_target_property(folder ${library} SOURCE_DIR)
  if(NOT folder MATCHES "^${CMAKE_SOURCE_DIR}/tests")
    list(APPEND stoa_installed ${library})
  endif()
endforeach()

set(stoa_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/stoa)
install(TARGETS ${stoa_installed} EXPORT stoaTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT stoaTargets NAMESPACE stoa:: DESTINATION ${stoa_package_folder})

foreach(room base parallel checkpoint trainer cluster launcher)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${room}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/stoa/${room}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.inc" PATTERN "*.cuh")
endforeach()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/stoa/configs)

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/stoaConfig.cmake.in ${CMAKE_BINARY_DIR}/stoaConfig.cmake
  INSTALL_DESTINATION ${stoa_package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/stoaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/stoaConfig.cmake ${CMAKE_BINARY_DIR}/stoaConfigVersion.cmake
  ${CMAKE_SOURCE_DIR}/cmake/StoaDependencies.cmake DESTINATION ${stoa_package_folder})
