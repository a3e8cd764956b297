# Writes OUTPUT, a C++ header with all SQL below SOURCE_DIR as string_view constants. Run by the build
# (cmake -DSOURCE_DIR=... -DOUTPUT=... -P embed.cmake) whenever a .sql file changes.
#
# queries/load_setting.sql becomes kLoadSetting. policy/NNN_*.sql become element NNN - 1 of
# kPolicyMigrations: all files of one number, in the order of their names, are one migration.

# load_setting -> kLoadSetting
function(constant_name stem result)
  string(REPLACE "_" ";" words "${stem}")
  set(name "k")
  foreach(word IN LISTS words)
    string(SUBSTRING "${word}" 0 1 first)
    string(SUBSTRING "${word}" 1 -1 rest)
    string(TOUPPER "${first}" first)
    string(APPEND name "${first}${rest}")
  endforeach()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

function(raw_string path result)
  file(READ "${path}" text)
  string(FIND "${text}" ")sql\"" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "${path} contains )sql\", which ends a raw string")
  endif()
  set(${result} "R\"sql(${text})sql\"" PARENT_SCOPE)
endfunction()

set(header "// Generated from schema/ by schema/embed.cmake: edit the .sql files.\n#pragma once\n\n"
  "#include <array>\n#include <string_view>\n\nnamespace forcetls::sql {\n")
string(CONCAT header ${header})

file(GLOB queries "${SOURCE_DIR}/queries/*.sql")
foreach(path IN LISTS queries)
  get_filename_component(stem "${path}" NAME_WE)
  constant_name("${stem}" name)
  raw_string("${path}" text)
  string(APPEND header "\ninline constexpr std::string_view ${name} = ${text};\n")
endforeach()

set(count 0)
string(APPEND header "\n/// Element i takes a database from schema i to schema i + 1.\n"
  "inline constexpr auto kPolicyMigrations = std::to_array<std::string_view>({")
file(GLOB migrations "${SOURCE_DIR}/policy/*.sql")
list(SORT migrations)
foreach(path IN LISTS migrations)
  get_filename_component(stem "${path}" NAME_WE)
  if(NOT stem MATCHES "^([0-9][0-9][0-9])_[a-z0-9_]+$")
    message(FATAL_ERROR "${path}: migrations are named NNN_name.sql")
  endif()
  math(EXPR number "1${CMAKE_MATCH_1} - 1000")
  math(EXPR next "${count} + 1")
  if(number EQUAL next)
    if(count GREATER 0)
      string(APPEND header ",")
    endif()
    set(count ${next})
  elseif(NOT number EQUAL count)
    message(FATAL_ERROR "${path}: the number after ${count} is ${next}")
  endif()
  raw_string("${path}" text)
  string(APPEND header "\n    ${text}")
endforeach()
string(APPEND header "});\n\n}  // namespace forcetls::sql\n")

file(WRITE "${OUTPUT}" "${header}")
