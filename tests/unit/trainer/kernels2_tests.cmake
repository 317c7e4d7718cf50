# Norms, rotary embedding, activations, embedding, AdamW, elementwise kernels and Philox.
stoa_test(kernels_elementwise_tests LABEL unit PROCESSORS 2
  SOURCES
    kernels_activation_test.cc
    kernels_adamw_test.cc
    kernels_elementwise_test.cc
    kernels_embedding_test.cc
    kernels_head_norm_test.cc
    kernels_norm_test.cc
    kernels_philox_test.cc
    kernels_rope_test.cc
  LINKS stoa_kernels)
