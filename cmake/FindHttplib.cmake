# Finds cpp-httplib as httplib::httplib.
# Debian 12 ships no CMake package, only cpp-httplib.pc, and its library is split: the
# CPPHTTPLIB_* defines of the .pc change class layouts, so they must reach every user.
find_package(httplib CONFIG QUIET)
if(TARGET httplib::httplib)
  set(Httplib_FOUND TRUE)
  return()
endif()
find_package(PkgConfig REQUIRED)
pkg_check_modules(HTTPLIB QUIET IMPORTED_TARGET cpp-httplib)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Httplib REQUIRED_VARS HTTPLIB_FOUND VERSION_VAR HTTPLIB_VERSION)
if(Httplib_FOUND AND NOT TARGET httplib::httplib)
  add_library(httplib::httplib INTERFACE IMPORTED)
  target_link_libraries(httplib::httplib INTERFACE PkgConfig::HTTPLIB)
endif()
