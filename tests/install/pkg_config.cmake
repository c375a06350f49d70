# Builds and runs the outside program with what pkg-config says. The staged tree is moved for it: an
# installed stasis.pc holds no absolute path.
set(moved ${STAGE}_moved)
file(REMOVE_RECURSE ${moved})
file(COPY ${STAGE}/ DESTINATION ${moved})

set(ENV{PKG_CONFIG_PATH} ${moved}/${LIBDIR}/pkgconfig)
execute_process(COMMAND ${PKG_CONFIG} --cflags --libs stasis
                OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
execute_process(COMMAND ${COMPILER} -std=c++20 ${OUTSIDE}/main.cc -o ${PROGRAM} ${flags}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
