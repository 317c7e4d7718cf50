# The loop and the optimizer: judging steps, sums of gradients, evaluation, resuming and stopping. The suites named
# LoopThreadRanks... run under ThreadSanitizer too.
stoa_test(loop_tests LABEL unit PROCESSORS 2
  SOURCES
    loop_adamw_optimizer_test.cc loop_evaluation_test.cc loop_gradient_accumulation_test.cc loop_learning_rate_test.cc
    loop_metrics_test.cc loop_spike_detector_test.cc loop_training_loop_test.cc
  LINKS stoa_loop)
