# The model: its table of parameters, memory, checkpoint pieces, training passes and generation.
stoa_test(model_tests LABEL unit PROCESSORS 2
  SOURCES
    parameter_pieces_test.cc
  LINKS stoa_model)
