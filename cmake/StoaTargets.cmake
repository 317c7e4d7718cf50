# How a library, a program and a test are declared, so that all of them get the same warnings, include root and labels.

find_program(STOA_CCACHE ccache)
if(STOA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${STOA_CCACHE})
endif()

# The include root holds one link per room: sources write "stoa/base/error.h", and the repository root, whose
# parallel/ would shadow libstdc++'s, is never on the include path.
set(STOA_INCLUDE_ROOT ${CMAKE_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${STOA_INCLUDE_ROOT}/stoa)
foreach(room base parallel checkpoint trainer cluster launcher tests)
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${room} ${STOA_INCLUDE_ROOT}/stoa/${room} SYMBOLIC)
endforeach()

add_library(stoa_flags INTERFACE)
target_compile_options(stoa_flags INTERFACE -Wall -Wextra -Wno-restrict -Wno-missing-field-initializers -Wundef -Wshadow -Wnon-virtual-dtor)
target_compile_definitions(stoa_flags INTERFACE OMPI_SKIP_MPICXX=1)
if(STOA_SANITIZE)
  target_compile_options(stoa_flags INTERFACE -fsanitize=${STOA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(stoa_flags INTERFACE -fsanitize=${STOA_SANITIZE})
endif()

# stoa_library(NAME SOURCES ... [PUBLIC ...] [PRIVATE ...])
function(stoa_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${STOA_INCLUDE_ROOT}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE $<BUILD_INTERFACE:stoa_flags> ${ARG_PRIVATE})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  set_property(GLOBAL APPEND PROPERTY STOA_LIBRARIES ${name})
endfunction()

# stoa_program(NAME SOURCES ... LINKS ...)
function(stoa_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE stoa_flags ${ARG_LINKS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# stoa_test(NAME LABEL label SOURCES ... LINKS ... [PROCESSORS n] [TIMEOUT s]): a GoogleTest program, each test of it a ctest of its own.
function(stoa_test name)
  cmake_parse_arguments(ARG "" "LABEL;PROCESSORS;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_PROCESSORS)
    set(ARG_PROCESSORS 1)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE stoa_flags ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}."
    PROPERTIES LABELS ${ARG_LABEL} PROCESSORS ${ARG_PROCESSORS} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# stoa_kernel_loops(SOURCES ...): the inner loops of CPU kernels, compiled once per instruction set into namespace
# stoa::trainer::cpu::STOA_ISA (plain, avx2, avx512). Such a source includes no standard header with inline code (the linker
# could keep the copy that an older processor cannot run): only plain structs, <cstdint>, <cstddef> and the cpu_vector headers.
# The objects are gathered in STOA_KERNEL_OBJECTS.
function(stoa_kernel_loops)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  set(flags_plain "")
  set(flags_avx2 -mavx2 -mfma)
  set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
  set(objects "")
  foreach(isa plain avx2 avx512)
    set(name stoa_kernel_loops_${isa})
    add_library(${name} OBJECT ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${STOA_INCLUDE_ROOT})
    target_link_libraries(${name} PRIVATE stoa_flags)
    target_compile_definitions(${name} PRIVATE STOA_ISA=${isa} STOA_ISA_AVX512=$<STREQUAL:${isa},avx512> STOA_ISA_AVX2=$<STREQUAL:${isa},avx2>)
    target_compile_options(${name} PRIVATE -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast ${flags_${isa}})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    list(APPEND objects $<TARGET_OBJECTS:${name}>)
  endforeach()
  set(STOA_KERNEL_OBJECTS ${objects} PARENT_SCOPE)
endfunction()
