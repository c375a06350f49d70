# Installs into an empty STAGE, and makes the outside project start anew.
file(REMOVE_RECURSE ${STAGE} ${OUTSIDE_BUILD})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${STAGE}
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
