# Norms, rotary embedding, activations, embedding, AdamW and elementwise kernels.
set(STOA_KERNELS2_SOURCES
  activation_cpu.cc
  adamw_cpu.cc
  elementwise_cpu.cc
  embedding_cpu.cc
  head_norm_cpu.cc
  layer_norm_cpu.cc
  random_normal_cpu.cc
  rms_norm_cpu.cc
  rope_cpu.cc
  row_chunks_cpu.cc)
set(STOA_KERNELS2_LOOPS
  activation_loops.cc
  adamw_loops.cc
  elementwise_loops.cc
  head_norm_loops.cc
  layer_norm_loops.cc
  random_normal_loops.cc
  rms_norm_loops.cc
  rope_loops.cc)
# The same bits on every instruction set.
set_source_files_properties(random_normal_loops.cc PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
