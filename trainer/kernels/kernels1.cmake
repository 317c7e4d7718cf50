# Queue, matrix products, attention and cross entropy.
set(STOA_KERNELS1_SOURCES cpu_isa.cc cpu_queue.cc linear_cpu.cc matmul_cache_cpu.cc)
set(STOA_KERNELS1_LOOPS linear_loops.cc)
