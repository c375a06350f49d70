# SPDX-License-Identifier: Apache-2.0
#
# Many at work in the same directories; see storm.py.

. "$(dirname "$0")/steps.sh"

storm() { /usr/bin/python3 "$here/storm.py" "$@"; }

before() { storm go-on 500; }
after() {
  at_work
  storm go-on $((seconds * 8000))
}

# An image is one moment of every owner.
recover() { storm check; }

"$@"
