# Queue, matrix products, attention, cross entropy and the measured peak.
set(STOA_KERNELS1_SOURCES attention_cpu.cc cpu_isa.cc cpu_queue.cc cross_entropy_cpu.cc linear_cpu.cc
  matmul_cache_cpu.cc peak.cc)
set(STOA_KERNELS1_LOOPS attention_loops.cc cross_entropy_loops.cc linear_loops.cc peak_loops.cc)
