# What `make install` puts where: headers, libraries, tool, page, completion,
# licences, and what pkg-config and find_package need.

include(CMakePackageConfigHelpers)

set(MTC_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/mtc)
set(MTC_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "json.h" EXCLUDE)
install(TARGETS mtc_shared mtc_static EXPORT mtc)
install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(MTC_JSON)
  install(FILES include/mtc/json.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mtc)
  install(TARGETS mtc_json EXPORT mtc)
endif()

if(MTC_TOOL)
  # Outside /usr the linker does not look where the library lies.
  if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    file(RELATIVE_PATH library_dir ${CMAKE_INSTALL_FULL_BINDIR}
      ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(mtc_tool PROPERTIES
      INSTALL_RPATH "\$ORIGIN/${library_dir}")
  endif()
  install(TARGETS mtc_tool)
  install(FILES man/mtc.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES completion/mtc.bash RENAME mtc
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()

# pkg-config: the prefix is found from where the .pc file lies.
file(RELATIVE_PATH MTC_PC_PREFIX
  ${CMAKE_INSTALL_PREFIX}/${MTC_PC_DIR} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" MTC_PC_PREFIX "${MTC_PC_PREFIX}")
list(TRANSFORM MTC_NEEDS_NAMES PREPEND "-l" OUTPUT_VARIABLE MTC_PC_PRIVATE)
list(JOIN MTC_PC_PRIVATE " " MTC_PC_PRIVATE)
set(MTC_PC_NAMES libmtc)
if(MTC_JSON)
  list(APPEND MTC_PC_NAMES libmtc-json)
endif()
foreach(name IN LISTS MTC_PC_NAMES)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${MTC_PC_DIR})
endforeach()

# find_package(mtc): mtc::mtc, mtc::mtc_static, mtc::json.
install(EXPORT mtc NAMESPACE mtc:: FILE mtcTargets.cmake
  DESTINATION ${MTC_CMAKE_DIR})
configure_package_config_file(cmake/mtcConfig.cmake.in mtcConfig.cmake
  INSTALL_DESTINATION ${MTC_CMAKE_DIR})
write_basic_package_version_file(mtcConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mtcConfig.cmake
  ${PROJECT_BINARY_DIR}/mtcConfigVersion.cmake
  DESTINATION ${MTC_CMAKE_DIR})
