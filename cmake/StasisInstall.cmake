# What `cmake --install` lays down: the programs, the layers below cmd/ with their headers, a CMake
# package (find_package(Stasis), targets Stasis::base, Stasis::vfs, ...) and stasis.pc.
#
# Included after the last stasis_layer() and program.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# How a dependency that a layer names in DEPS is found again: prefix of its targets, what the package
# config calls, and what stasis.pc requires. @NAME@ is the part behind "::".
set(_stasis_external
  "absl|find_dependency(absl)|absl_@NAME@"
  "CapnProto|find_dependency(CapnProto)|@NAME@"
  "LibArchive|find_dependency(LibArchive)|libarchive"
  "OpenSSL|find_dependency(OpenSSL)|libcrypto"
  "Threads|find_dependency(Threads)|"
  "fmt|find_dependency(fmt)|fmt"
  "nlohmann_json|find_dependency(nlohmann_json)|nlohmann_json"
  "spdlog|find_dependency(spdlog)|spdlog"
  "tl|find_dependency(tl-expected)|"
  "PkgConfig::URCU|_stasis_pkg_config(URCU liburcu-memb)|liburcu-memb"
  "PkgConfig::ZSTD|_stasis_pkg_config(ZSTD libzstd)|libzstd")

# Adds what `dependency` needs to the lists `find_calls` and `pc_requires` of the caller.
function(_stasis_add_external dependency)
  string(REGEX REPLACE ".*::" "" name ${dependency})
  foreach(entry ${_stasis_external})
    string(REPLACE "|" ";" entry "${entry}")
    list(GET entry 0 prefix)
    if(dependency STREQUAL prefix OR dependency MATCHES "^${prefix}::")
      list(GET entry 1 find_call)
      list(GET entry 2 pc)
      string(REPLACE "@NAME@" "${name}" pc "${pc}")
      set(find_calls ${find_calls} ${find_call} PARENT_SCOPE)
      set(pc_requires ${pc_requires} ${pc} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "cmake/StasisInstall.cmake does not know how an installed layer finds "
                      "${dependency}: add a line to _stasis_external.")
endfunction()

set(libraries)
set(find_calls)
set(pc_requires)
get_property(layers GLOBAL PROPERTY STASIS_LAYERS)
foreach(layer ${layers})
  get_target_property(folder stasis_${layer} SOURCE_DIR)
  if(folder MATCHES "^${PROJECT_SOURCE_DIR}/cmd(/|$)")
    continue()  # parts of the programs, not of the library
  endif()
  list(PREPEND libraries "-lstasis_${layer}")  # dependents stand before what they need
  get_target_property(dependencies stasis_${layer} INTERFACE_LINK_LIBRARIES)
  foreach(dependency ${dependencies})
    if(dependency MATCHES "::" AND NOT dependency MATCHES "^(Stasis::|\\$<)")
      _stasis_add_external(${dependency})
    endif()
  endforeach()
  install(TARGETS stasis_${layer} EXPORT StasisTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/stasis)
endforeach()
list(REMOVE_DUPLICATES find_calls)
list(REMOVE_DUPLICATES pc_requires)

foreach(program stasis)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# Headers that Cap'n Proto generated, for the public headers that include them.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/capnp)
install(DIRECTORY ${PROJECT_BINARY_DIR}/capnp/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/stasis
  FILES_MATCHING PATTERN "*.capnp.h" PATTERN "cmd" EXCLUDE)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Stasis)
list(JOIN find_calls "\n" STASIS_FIND_DEPENDENCIES)
configure_package_config_file(cmake/StasisConfig.cmake.in StasisConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(StasisConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/StasisConfig.cmake
              ${PROJECT_BINARY_DIR}/StasisConfigVersion.cmake
        DESTINATION ${package_dir})
install(EXPORT StasisTargets NAMESPACE Stasis:: DESTINATION ${package_dir})

set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH STASIS_PC_TO_PREFIX /${pc_dir} /)
string(REGEX REPLACE "/$" "" STASIS_PC_TO_PREFIX ${STASIS_PC_TO_PREFIX})
list(JOIN pc_requires " " STASIS_PC_REQUIRES)
list(JOIN libraries " " STASIS_PC_LIBRARIES)
configure_file(cmake/stasis.pc.in stasis.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/stasis.pc DESTINATION ${pc_dir})

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/stasis)
