# Protocol buffers. Debian's libsentencepiece.so exports a protobuf of its own, older one. Ours is linked
# statically and kept out of the program's dynamic symbols, so that neither is called with the other's
# objects. A program that links both must name this archive first: the linker takes a symbol where it sees
# it first.
find_package(Protobuf REQUIRED)
find_library(TENON_PROTOBUF libprotobuf.a REQUIRED)
find_program(TENON_GRPC_PLUGIN grpc_cpp_plugin)

# tenon_proto_library(NAME FOLDER [GRPC] file.proto...): a static library of the messages of FOLDER, with GRPC of the
# services too. Generated code stays outside our warnings; its headers are system headers for the same reason.
function(tenon_proto_library name folder)
  cmake_parse_arguments(ARG "GRPC" "" "" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name})
  file(MAKE_DIRECTORY ${out})
  set(made)
  set(plugin)
  set(endings pb)
  if(ARG_GRPC)
    set(endings pb grpc.pb)
    set(plugin --grpc_out=${out} --plugin=protoc-gen-grpc=${TENON_GRPC_PLUGIN})
  endif()
  foreach(file ${ARG_UNPARSED_ARGUMENTS})
    get_filename_component(stem ${file} NAME_WLE)
    set(of_file)
    foreach(ending ${endings})
      list(APPEND of_file ${out}/${stem}.${ending}.cc ${out}/${stem}.${ending}.h)
    endforeach()
    add_custom_command(
      OUTPUT ${of_file}
      COMMAND protobuf::protoc --cpp_out=${out} ${plugin} -I${folder} ${folder}/${file}
      DEPENDS ${folder}/${file} VERBATIM)
    list(APPEND made ${of_file})
  endforeach()
  add_library(${name} STATIC ${made})
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC ${TENON_PROTOBUF} Threads::Threads)
  target_link_options(${name} INTERFACE -Wl,--exclude-libs,ALL)
endfunction()
