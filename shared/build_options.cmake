# Warnings, sanitizers and hardening for every target: included once by the top CMakeLists.txt.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Werror=switch)
if(FORCETLS_WERROR)
  add_compile_options(-Werror)
endif()

if(FORCETLS_SANITIZE)
  add_compile_options(-fsanitize=${FORCETLS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FORCETLS_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND FORCETLS_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=function)  # false alarms on coroutine frames
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND FORCETLS_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)
  endif()
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()
