stoa_test(checkpoint_faults LABEL faults TIMEOUT 120
  SOURCES checkpoint_campaign_test.cc checkpoint_damage_test.cc checkpoint_death_test.cc
  LINKS stoa_checkpoint)
