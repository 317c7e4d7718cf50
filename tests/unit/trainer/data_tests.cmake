stoa_test(data_tests LABEL unit
  SOURCES
    data_indexed_dataset_test.cc data_prepare_test.cc data_text_documents_test.cc data_token_samples_test.cc
    data_tokenizer_json_test.cc data_tokenizer_split_test.cc data_tokenizer_test.cc data_tokenizer_training_test.cc
  LINKS stoa_data)
