# The two helpers that every CMakeLists.txt of this project is written with.

# stasis_layer(NAME SOURCES a.cc... [HEADERS a.h...] [SCHEMAS a.capnp...] [DEPS target...])
#
# A static library stasis_NAME (alias Stasis::NAME). HEADERS are its public ones: they are installed,
# and a test compiles each alone. Paths are relative to the calling folder; includes to the project's root.
function(stasis_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;SCHEMAS;DEPS" ${ARGN})
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
  add_library(stasis_${name} STATIC ${ARG_SOURCES} ${ARG_HEADERS} ${generated})
  add_library(Stasis::${name} ALIAS stasis_${name})
  set_target_properties(stasis_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(stasis_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:include/stasis>)
  target_include_directories(stasis_${name} SYSTEM PUBLIC
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/capnp>)
  target_link_libraries(stasis_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:stasis_options>)
  set_property(TARGET stasis_${name} PROPERTY STASIS_HEADERS ${ARG_HEADERS})
  set_property(GLOBAL APPEND PROPERTY STASIS_LAYERS ${name})
endfunction()

# stasis_test(a_test.cc... DEPS target... [LABELS label...] [TIMEOUT seconds])
#
# One test program per file, named by its path below tests/: tests/vfs/path_test.cc is vfs.path_test.
function(stasis_test)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS;LABELS" ${ARGN})
  foreach(source ${ARG_UNPARSED_ARGUMENTS})
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE absolute)
    file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR}/tests ${absolute})
    string(REGEX REPLACE "\\.cc$" "" test ${relative})
    string(REPLACE "/" "." test ${test})
    add_executable(${test} ${source})
    target_link_libraries(${test} PRIVATE ${ARG_DEPS} stasis_options GTest::gmock GTest::gtest
                          GTest::gtest_main)
    add_test(NAME ${test} COMMAND ${test})
    if(ARG_TIMEOUT)
      set_tests_properties(${test} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
    else()
      set_tests_properties(${test} PROPERTIES TIMEOUT 300)
    endif()
    if(ARG_LABELS)
      set_tests_properties(${test} PROPERTIES LABELS "${ARG_LABELS}")
    endif()
    set_property(GLOBAL APPEND PROPERTY STASIS_REGISTERED_TESTS ${relative})
  endforeach()
endfunction()
