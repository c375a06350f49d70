# The helper that the CMakeLists.txt of every room is written with.

# stasis_layer(NAME SOURCES a.cc... [HEADERS a.h...] [SCHEMAS a.capnp...] [DEPS target...])
#
# A static library stasis_NAME (alias Stasis::NAME). HEADERS are its public ones: they are installed,
# and the build compiles each alone. Paths are relative to the calling folder; includes to the
# project's root.
function(stasis_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;SCHEMAS;DEPS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "stasis_layer(${name}): what is ${ARG_UNPARSED_ARGUMENTS}?")
  endif()
  set(generated)
  if(ARG_SCHEMAS)
    # Schemas import each other and are included from the project's root: "state/gen/x.capnp.h".
    set(CAPNPC_SRC_PREFIX ${PROJECT_SOURCE_DIR})
    set(CAPNPC_OUTPUT_DIR ${PROJECT_BINARY_DIR}/capnp)
    set(CAPNPC_IMPORT_DIRS ${PROJECT_SOURCE_DIR})
    file(MAKE_DIRECTORY ${CAPNPC_OUTPUT_DIR})
    capnp_generate_cpp(capnp_sources capnp_headers ${ARG_SCHEMAS})
    set_source_files_properties(${capnp_sources} PROPERTIES COMPILE_OPTIONS "-w")
    set(generated ${capnp_sources} ${capnp_headers})
  endif()

  set(target stasis_${name})
  add_library(${target} STATIC ${ARG_SOURCES} ${generated})
  add_library(Stasis::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_sources(${target} PUBLIC FILE_SET HEADERS
    BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:include/stasis>)
  target_include_directories(${target} SYSTEM PUBLIC
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/capnp>)
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:stasis_options>)
  if(STASIS_HEADER_CHECK AND ARG_HEADERS)
    # One object per header, compiled as an outside user of the target would.
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
    set_property(GLOBAL APPEND PROPERTY STASIS_HEADER_CHECKS
      ${target}_verify_interface_header_sets)
  endif()

  set_property(GLOBAL APPEND PROPERTY STASIS_LAYERS ${name})
endfunction()

# Makes `header_check`, part of a build with STASIS_HEADER_CHECK: every public header compiles alone.
# Call it after the last stasis_layer().
function(stasis_header_check)
  get_property(checks GLOBAL PROPERTY STASIS_HEADER_CHECKS)
  add_custom_target(header_check ALL)
  if(checks)
    add_dependencies(header_check ${checks})
  endif()
endfunction()
