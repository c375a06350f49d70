# SPDX-License-Identifier: Apache-2.0
#
# make and gcc: a project of 200 files.

. "$(dirname "$0")/steps.sh"
needs gcc gcc
needs make make

prepare() {
  local i
  mkdir -p src
  for i in {1..200}; do
    printf '#include "all.h"\n#include <stdio.h>\nint f%d(int x) { return %s + x * %d; }\n' \
      $i "$( ((i < 200)) && echo "f$((i + 1))(x % 1000)" || echo 1)" $i >src/f$i.c
  done
  printf 'int f%d(int);\n' {1..200} >src/all.h
  printf '#include "all.h"\n#include <stdio.h>\nint main(void) { printf("%%d\\n", f1(3)); }\n' \
    >src/main.c
  cat >Makefile <<'MAKE'
objects = $(patsubst src/%.c,obj/%.o,$(wildcard src/*.c))
program: obj/all.a ; gcc -o $@ obj/all.a
obj/all.a: $(objects) ; rm -f $@ && ar rcsD $@ $^
obj/%.o: src/%.c ; @mkdir -p obj && gcc -pipe -MMD -c -o $@ $<
half: $(wordlist 1,100,$(objects))
-include obj/*.d
MAKE
}

before() {
  make -j2 half | wc -l
  ls obj/*.o | wc -l
}

some_again() {
  rm obj/f1?.o
  make -j2 half >/dev/null
}

after() {
  at_work some_again
  make -j2 | wc -l # nothing is made again
  make -q
  ./program
  cat obj/*.o program | sha256sum
  sleep 0.01
  touch src/f7.c
  make -j2 | grep -c gcc
  touch src/all.h
  make -n | grep -c 'gcc -pipe'
  strip -o stripped program
  objdump -d stripped | tail -n +4 | sha256sum
  rm -r obj
  ls
}

recover() {
  # What was being written may be half, which make does not see.
  rm -f program obj/all.a
  for object in obj/*.o; do nm "$object" 2>&1 | grep -q ' T ' || rm -f "$object"; done
  make -j2 >/dev/null
  [[ $(./program) == 60301 ]] || fail "the program is not what it was made of"
}

"$@"
