# STASIS_SANITIZE, and the environment that tests run in.

set(_stasis_tsan_options "suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp")
string(APPEND _stasis_tsan_options ":second_deadlock_stack=1")
find_program(STASIS_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
if(STASIS_SYMBOLIZER)
  string(APPEND _stasis_tsan_options ":external_symbolizer_path=${STASIS_SYMBOLIZER}")
endif()
set(STASIS_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=${_stasis_tsan_options}")

if(STASIS_SANITIZE)
  add_compile_options(-fsanitize=${STASIS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${STASIS_SANITIZE})
  if(STASIS_SANITIZE MATCHES "undefined")
    # It looks at memory through a pipe, which a process that has no descriptor left cannot make.
    add_compile_options(-fno-sanitize=vptr)
  endif()
  # GCC's analysis does not see through its own instrumentation; and what is malloc(3) then (Slab)
  # has fields that nobody uses.
  target_compile_options(stasis_options INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    $<$<CXX_COMPILER_ID:Clang>:-Wno-unused-private-field>)
  set(STASIS_INSTALL OFF)  # an outside project could not link the result
endif()

if(STASIS_SANITIZE MATCHES "thread")
  # Debian's abseil is not instrumented: without this every mutex would be invisible. Linked first
  # into everything, so that its symbols win over those of libabsl_synchronization.so.
  find_package(absl REQUIRED)
  add_library(stasis_tsan_mutex SHARED ${PROJECT_SOURCE_DIR}/tests/sanitize/tsan_mutex.cc)
  set_target_properties(stasis_tsan_mutex PROPERTIES CXX_VISIBILITY_PRESET default)
  target_link_libraries(stasis_tsan_mutex PRIVATE absl::synchronization ${CMAKE_DL_LIBS})
  link_libraries(stasis_tsan_mutex)
endif()
