stoa_fuzz(experiment_fuzz
  SOURCES experiment_fuzz.cc
  LINKS stoa_experiment)
