stoa_test(command_line_golden LABEL golden
  SOURCES command_line/command_line_test.cc
  LINKS stoa_launcher)
target_compile_definitions(command_line_golden PRIVATE STOA_SOURCE_DIRECTORY="${CMAKE_SOURCE_DIR}")

# Bash itself runs the completion script.
add_test(NAME completion_in_bash COMMAND ${CMAKE_CURRENT_LIST_DIR}/completion_test $<TARGET_FILE:stoa>)
set_tests_properties(completion_in_bash PROPERTIES LABELS golden TIMEOUT 30)
