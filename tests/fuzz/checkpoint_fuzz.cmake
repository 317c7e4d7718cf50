stoa_fuzz(manifest_fuzz SOURCES manifest_fuzz.cc LINKS stoa_checkpoint)
