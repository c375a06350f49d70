// Only its name matters: see ../CMakeLists.txt.
