# SPDX-License-Identifier: Apache-2.0
#
# What processes do with each other through files; see processes/.

. "$(dirname "$0")/steps.sh"
python=/usr/bin/python3

holder() { $python "$here/processes" ask-holder; }

# When process 1 started: tells a sandbox from another that goes on with what it left.
sandbox() { awk '{print $22}' /proc/1/stat; }

start_holder() {
  sandbox >holder.sandbox
  rm -rf holder.d
  $python "$here/processes" holder >holder.log 2>&1 &
  disown
  holder
}

# The holder keeps locks, a socket, a mapping, a deleted file and a watch over the checkpoint.
before() {
  start_holder
  $python "$here/processes"
}

after() {
  # Processes are not restored.
  if [[ $(sandbox) == $(cat holder.sandbox) ]]; then holder; else start_holder; fi
  $python "$here/processes" end-holder
  at_work
  $python "$here/processes"
}

recover() { $python "$here/processes" >/dev/null; }

"$@"
