# SPDX-License-Identifier: Apache-2.0
#
# Cases, and what they are made of: children whose outcome is known, errors by name.

import ctypes
import errno
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
cases = []


def case(function):
    cases.append(function)
    return function


def outcome(function, *arguments):
    """What a call returns, or the name of its error."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def fork(function, *arguments):
    """A child that runs the function, and a file from which its outcome can be read."""
    out, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        result = 'died'
        try:
            result = outcome(function, *arguments)
        except BaseException as error:
            result = repr(error)
        os.write(end, repr(result).encode())
        os._exit(0)
    os.close(end)
    return pid, os.fdopen(out)


def join(child):
    pid, out = child
    with out:
        text = out.read()
    status = os.waitpid(pid, 0)[1]
    return text if status == 0 else f'signal {os.WTERMSIG(status)}'


def in_child(function, *arguments):
    return join(fork(function, *arguments))


def until(condition):
    """Waits for a condition for at most a minute."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)


def waits_in_lock(pid):
    """Whether the process is blocked, in a sleep that signals end."""
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rsplit(')', 1)[1].split()[0] == 'S'


def as_user(uid, function, *arguments):
    def call():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return outcome(function, *arguments)
    return in_child(call)


def write(name, content=b''):
    with open(name, 'wb') as file:
        file.write(content)


def opened(name):
    return os.open(name, os.O_RDWR | os.O_CREAT)
