# SPDX-License-Identifier: Apache-2.0
#
# What processes do with each other through files. Prints what each case gave: two filesystems must
# give the same. Arguments: cases by name, default all; or holder, ask-holder, end-holder.

import os
import signal
import sys
import tempfile

import holder
from harness import cases
import sockets, locks, watches, memory, executables, names  # noqa: E401,F401: they have the cases


def main():
    if sys.argv[1:] == ['holder']:
        return holder.hold()
    if sys.argv[1:] == ['ask-holder']:
        return holder.ask()
    if sys.argv[1:] == ['end-holder']:
        return holder.ask(b'end')
    home = os.getcwd()
    for function in cases:
        if sys.argv[1:] and function.__name__ not in sys.argv[1:]:
            continue
        signal.alarm(120)
        with tempfile.TemporaryDirectory(dir=home) as directory:
            os.chmod(directory, 0o755)
            os.chdir(directory)
            for result in function():
                print(function.__name__, result, flush=True)
            os.chdir(home)


main()
