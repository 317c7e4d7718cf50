# The CUDA twins of kernels, a library of their own: only stoa-train links it.
set(STOA_CUDA_SOURCES cuda_queue_cuda.cu rms_norm_cuda.cu)
list(TRANSFORM STOA_CUDA_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
# The emulator compiles the same list.
set_property(GLOBAL PROPERTY STOA_CUDA_SOURCES ${STOA_CUDA_SOURCES})

add_library(stoa_kernels_cuda STATIC ${STOA_CUDA_SOURCES})
# No kernels in it, and nvcc cannot compile fmt 9 as C++20: g++ does.
set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/cuda_queue_cuda.cu PROPERTIES LANGUAGE CXX)
target_include_directories(stoa_kernels_cuda PUBLIC $<BUILD_INTERFACE:${STOA_INCLUDE_ROOT}>)
target_link_libraries(stoa_kernels_cuda PUBLIC stoa_base PRIVATE CUDA::cudart_static)
target_compile_options(stoa_kernels_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas> $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra>)
set_target_properties(stoa_kernels_cuda PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON POSITION_INDEPENDENT_CODE ON)
