include(CMakeDependentOption)

option(STASIS_TESTS "Build the tests" ON)
option(STASIS_BENCHMARKS "Build the benchmarks" ON)
option(STASIS_HEADER_CHECK "Compile each public header alone" OFF)
option(STASIS_INSTALL "Make the install rules" ON)
# Its output is checked in: only maintainers need it. On where libclang 19 is.
find_path(STASIS_LIBCLANG_INCLUDE clang-c/Index.h PATHS /usr/lib/llvm-19/include NO_DEFAULT_PATH)
cmake_dependent_option(STASIS_STATEIFY "Build the generator of saved-state code" ON
                       STASIS_LIBCLANG_INCLUDE OFF)
set(STASIS_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Calls within the libraries need not be interposable, and thread-local variables (the read side of
# read-copy-update) are found without a call.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
add_compile_options(-ftls-model=initial-exec)
# GCC clears and copies structs of 100 bytes with "rep stos", which takes 30 cycles to begin.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  add_compile_options(-mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign
                      -mmemcpy-strategy=unrolled_loop:256:noalign,libcall:-1:noalign)
endif()
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(STASIS_CCACHE ccache)
if(STASIS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${STASIS_CCACHE})
  # As its manual asks for precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${STASIS_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()
find_program(STASIS_MOLD mold)
if(STASIS_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(stasis_options INTERFACE)
target_compile_options(stasis_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror -fno-omit-frame-pointer
  # GCC 12 sees overlapping copies in std::string that are none (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  # Newer clangs see the deprecated call inside libstdc++ 12's own std::stable_sort.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wthread-safety-beta>)
target_compile_definitions(stasis_options INTERFACE _FILE_OFFSET_BITS=64)

include(StasisSanitize)
