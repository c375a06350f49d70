# A *_test.cc that no stasis_test() names fails the configure step, and only that.
#
# cmake -DCASE=registered|conditional|forgotten -DSOURCE=... -DBINARY=... -DCOMPILER=... -P this

file(REMOVE_RECURSE ${BINARY})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/tests/lint/registration -B ${BINARY} -G Ninja
          -DSTASIS_CMAKE=${SOURCE}/cmake -DCMAKE_CXX_COMPILER=${COMPILER} -DCASE=${CASE}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(CASE STREQUAL "forgotten")
  if(result EQUAL 0)
    message(FATAL_ERROR "A forgotten test was not noticed:\n${output}")
  endif()
  if(NOT output MATCHES "tests/second_test.cc" OR output MATCHES "tests/first_test.cc")
    message(FATAL_ERROR "The message does not name the forgotten test, and only it:\n${output}")
  endif()
elseif(NOT result EQUAL 0)
  message(FATAL_ERROR "The configure step failed:\n${output}")
endif()
