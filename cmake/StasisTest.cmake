# The helpers that tests are registered with, and the check that none is forgotten.

# stasis_test(a_test.cc... DEPS target... [LABELS label...] [TIMEOUT seconds])
#
# One test program per file, named by its path below tests/: tests/vfs/path_test.cc is vfs.path_test.
#
# Labels that ./dev and CI know: `slow` (left out under sanitizers) and `privileged` (needs root or
# mounts; left out under ThreadSanitizer).

# What nearly every test includes, parsed once.
function(_stasis_test_precompiled target)
  if(NOT TARGET stasis_test_precompiled)
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/precompiled_main.cc CONTENT "int main() {}\n")
    add_executable(stasis_test_precompiled EXCLUDE_FROM_ALL
      ${PROJECT_BINARY_DIR}/precompiled_main.cc)
    target_link_libraries(stasis_test_precompiled PRIVATE stasis_vfs stasis_options GTest::gmock
                          GTest::gtest)
    target_precompile_headers(stasis_test_precompiled PRIVATE
      <gmock/gmock.h> <gtest/gtest.h> <absl/status/statusor.h> <absl/strings/str_cat.h>
      <absl/synchronization/mutex.h> <filesystem> <fstream> <map> <memory> <set> <string> <thread>
      <vector>)
  endif()
  target_precompile_headers(${target} REUSE_FROM stasis_test_precompiled)
endfunction()

function(stasis_test)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS;LABELS" ${ARGN})
  foreach(source ${ARG_UNPARSED_ARGUMENTS})
    _stasis_path_below_tests(${source} relative)
    string(REGEX REPLACE "\\.cc$" "" test ${relative})
    string(REPLACE "/" "." test ${test})
    stasis_test_program(${test} ${source} DEPS ${ARG_DEPS})
    stasis_add_test(${test} COMMAND ${test} LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
    # What a preset leaves out need not be built for it.
    if((STASIS_SANITIZE AND "slow" IN_LIST ARG_LABELS)
       OR (STASIS_SANITIZE MATCHES "thread" AND "privileged" IN_LIST ARG_LABELS))
      set_target_properties(${test} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  endforeach()
endfunction()

# stasis_test_program(name source.cc... DEPS target...)
#
# A program of one or more files, to be run by stasis_add_test() as often and with what arguments it
# takes. Its *_test.cc count as registered.
function(stasis_test_program name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} stasis_options GTest::gmock GTest::gtest
                        GTest::gtest_main)
  _stasis_test_precompiled(${name})
  foreach(source ${ARG_UNPARSED_ARGUMENTS})
    _stasis_path_below_tests(${source} relative)
    set_property(GLOBAL APPEND PROPERTY STASIS_REGISTERED_TESTS ${relative})
  endforeach()
endfunction()

# stasis_add_test(name COMMAND command... [LABELS label...] [TIMEOUT seconds])
#
# Any other test, such as a script, with the environment and the time limit of all of them.
function(stasis_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "${STASIS_TEST_ENVIRONMENT}")
endfunction()

# stasis_test_conditional_sources(a_test.cc...)
#
# Says that these tests are registered in some configurations only. Call it outside of the condition:
#   stasis_test_conditional_sources(stateify_test.cc)
#   if(STASIS_STATEIFY)
#     stasis_test(stateify_test.cc DEPS ...)
#   endif()
function(stasis_test_conditional_sources)
  foreach(source ${ARGN})
    _stasis_path_below_tests(${source} relative)
    set_property(GLOBAL APPEND PROPERTY STASIS_CONDITIONAL_TESTS ${relative})
  endforeach()
endfunction()

# Fails the configure step if a *_test.cc below tests/ belongs to no stasis_test(). Call it last.
function(stasis_check_registered_tests)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/tests
       ${PROJECT_SOURCE_DIR}/tests/*_test.cc)
  get_property(registered GLOBAL PROPERTY STASIS_REGISTERED_TESTS)
  get_property(conditional GLOBAL PROPERTY STASIS_CONDITIONAL_TESTS)
  list(REMOVE_ITEM found ${registered} ${conditional})
  if(found)
    list(JOIN found "\n  tests/" files)
    message(FATAL_ERROR "These tests would never run:\n  tests/${files}\n"
                        "Add each to a stasis_test() in the CMakeLists.txt of its folder.")
  endif()
endfunction()

function(_stasis_path_below_tests source result)
  cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE absolute)
  file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR}/tests ${absolute})
  set(${result} ${relative} PARENT_SCOPE)
endfunction()
