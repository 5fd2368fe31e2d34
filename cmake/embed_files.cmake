# Carries files inside a program.
# tenon_embed_files(TARGET HEADER NAMESPACE FILE...) adds a source to TARGET that defines NAMESPACE::files(), a list of
# {name, content}, as HEADER declares it. Run as a script (cmake -P) this file writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(WRITE ${OUTPUT}.part "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\nstd::span<const File> files() {\n  static constexpr File kFiles[] = {\n")
  foreach(path ${FILES})
    get_filename_component(name ${path} NAME)
    file(READ ${path} content)
    file(APPEND ${OUTPUT}.part "      {\"${name}\", R\"tenon-file(${content})tenon-file\"},\n")
  endforeach()
  file(APPEND ${OUTPUT}.part "  };\n  return kFiles;\n}\n\n}  // namespace ${NAMESPACE}\n")
  file(RENAME ${OUTPUT}.part ${OUTPUT})
  return()
endif()

set(TENON_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(tenon_embed_files target header namespace)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}_files.cpp)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${ARGN}" -DHEADER=${header} -DNAMESPACE=${namespace} -DOUTPUT=${output}
            -P ${TENON_EMBED_SCRIPT}
    DEPENDS ${ARGN} ${TENON_EMBED_SCRIPT}
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
