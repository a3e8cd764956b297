// The main() of every test program where Catch2 is version 2, which is header-only.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
