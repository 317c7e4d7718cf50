# CUDA is compiled where nvcc is found (STOA_CUDA=AUTO), always (ON) or never (OFF). Included by the root after the options; STOA_CUDA is ON
# or OFF from there on. No device is needed: the tests execute the same sources by an emulator (tests/cuda_emulation).
set_property(CACHE STOA_CUDA PROPERTY STRINGS AUTO ON OFF)
find_program(STOA_NVCC nvcc PATHS /usr/local/cuda/bin)

set(stoa_cuda_wanted ${STOA_CUDA})
set(STOA_CUDA OFF)
if(stoa_cuda_wanted STREQUAL AUTO)
  if(STOA_NVCC)
    set(STOA_CUDA ON)
  endif()
elseif(stoa_cuda_wanted)
  if(NOT STOA_NVCC)
    message(FATAL_ERROR "STOA_CUDA is ${stoa_cuda_wanted}, but there is no nvcc in PATH or /usr/local/cuda/bin")
  endif()
  set(STOA_CUDA ON)
endif()

if(STOA_CUDA)
  set(CMAKE_CUDA_COMPILER ${STOA_NVCC})
  # Machine code for A100, H100 and B200, and PTX for what comes after them.
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc speaks C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  find_package(CUDAToolkit REQUIRED)
endif()
message(STATUS "CUDA kernels: ${STOA_CUDA}")
