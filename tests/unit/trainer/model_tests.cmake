# The model: its table of parameters, memory, checkpoint pieces, training passes and generation.
stoa_test(model_tests LABEL unit PROCESSORS 2
  SOURCES
    generation_test.cc parameter_pieces_test.cc
    sampling_test.cc utf8_stream_test.cc
  LINKS stoa_model)
