# SPDX-License-Identifier: Apache-2.0
#
# stress-ng: those that work on files, one after the other, two processes each, with --verify.
# Without those that mount or look elsewhere than at files in the working directory:
#   bind-mount, binderfs, procfs, eventfd, ioprio, rawdev

. "$(dirname "$0")/steps.sh"
needs stress-ng stress-ng

class() {
  mkdir $1
  stress-ng --class $1 --sequential 2 --timeout $seconds --verify --temp-path $1 --oomable \
    --exclude bind-mount,binderfs,procfs,eventfd,ioprio,rawdev >$1.log 2>&1 ||
    { cat $1.log >&2; fail "$1"; }
  cat $1.log >&2
  # Which of them the filesystem has not what it takes for.
  sed -En 's/.*\] ([a-z0-9-]+): .*skipp.*/skipped \1/p' $1.log | sort -u
  # Nothing is left.
  find $1 -mindepth 1
  rmdir $1
}

before() { class filesystem; }
after() {
  at_work
  class io
}

"$@"
