# Queue, matrix products, attention and cross entropy.
stoa_test(kernels_product_tests LABEL unit PROCESSORS 2
  SOURCES
    kernels_attention_dropout_test.cc
    kernels_attention_test.cc
    kernels_cross_entropy_test.cc
    kernels_linear_test.cc
    kernels_queue_test.cc
  LINKS stoa_kernels)
