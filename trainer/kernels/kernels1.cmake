set(STOA_KERNELS1_SOURCES cpu_isa.cc cpu_queue.cc linear_cpu.cc)
set(STOA_KERNELS1_LOOPS)
