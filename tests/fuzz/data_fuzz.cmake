stoa_fuzz(tokenizer_fuzz SOURCES tokenizer_fuzz.cc LINKS stoa_data)
stoa_fuzz(indexed_dataset_fuzz SOURCES indexed_dataset_fuzz.cc LINKS stoa_data)
