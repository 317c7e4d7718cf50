# The model: its table of parameters, memory, checkpoint pieces, training passes, generation and evaluation of a text.
stoa_test(model_tests LABEL unit PROCESSORS 2
  SOURCES
    generation_test.cc memory_plan_test.cc parameter_pieces_test.cc parameter_table_test.cc
    sampling_test.cc text_evaluation_test.cc transformer_test.cc utf8_stream_test.cc
  LINKS stoa_loop)
