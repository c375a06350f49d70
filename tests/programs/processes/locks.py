# SPDX-License-Identifier: Apache-2.0
#
# Locks of three kinds, and leases.

import contextlib
import fcntl
import os
import signal
import struct
import time

from harness import case, fork, in_child, join, opened, outcome, until, waits_in_lock, write


OFD_SETLK, OFD_SETLKW, OFD_GETLK = 37, 38, 36


def range_lock(fd, command, kind, start=0, length=0):
    answer = fcntl.fcntl(fd, command, struct.pack('hhqqi4x', kind, os.SEEK_SET, start, length, 0))
    kind, _, start, length, pid = struct.unpack('hhqqi4x', answer)
    return kind, start, length, pid


@contextlib.contextmanager
def forked(function):
    child = fork(function)
    try:
        yield child[0]
    finally:
        os.kill(child[0], signal.SIGKILL)
        join(child)


@case
def posix_locks():
    fd = opened('f')
    range_lock(fd, fcntl.F_SETLK, fcntl.F_WRLCK, 10, 10)
    parent = os.getpid()

    def other():
        mine = opened('f')
        kind, start, length, pid = range_lock(mine, fcntl.F_GETLK, fcntl.F_RDLCK)
        return (outcome(range_lock, mine, fcntl.F_SETLK, fcntl.F_RDLCK, 15, 1), kind, start, length,
                pid == parent, outcome(range_lock, mine, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 10))
    yield in_child(other)
    os.close(os.open('f', os.O_RDONLY))  # which gives up the locks of the process
    yield in_child(lambda: range_lock(opened('f'), fcntl.F_SETLK, fcntl.F_WRLCK, 15, 1)[0])


@case
def deadlock():
    fd = opened('f')
    range_lock(fd, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 1)

    def other():
        mine = opened('f')
        range_lock(mine, fcntl.F_SETLK, fcntl.F_WRLCK, 1, 1)
        write('ready')
        return range_lock(mine, fcntl.F_SETLKW, fcntl.F_WRLCK, 0, 1)[0]

    child = fork(other)
    until(lambda: os.path.exists('ready') and waits_in_lock(child[0]))
    yield outcome(range_lock, fd, fcntl.F_SETLKW, fcntl.F_WRLCK, 1, 1)
    range_lock(fd, fcntl.F_SETLK, fcntl.F_UNLCK)
    yield join(child)


LOCKS = {
    'posix': lambda fd, wait:
        range_lock(fd, fcntl.F_SETLKW if wait else fcntl.F_SETLK, fcntl.F_WRLCK),
    'ofd': lambda fd, wait: range_lock(fd, OFD_SETLKW if wait else OFD_SETLK, fcntl.F_WRLCK),
    'flock': lambda fd, wait: fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)),
}


@case
def waits_for_locks_end():
    for name, lock in LOCKS.items():
        fd = opened(name)
        lock(fd, False)

        def wait():
            class Interrupted(Exception):
                pass

            def interrupt(*_):
                raise Interrupted
            signal.signal(signal.SIGUSR1, interrupt)
            os.close(fd)  # the holder's
            mine = opened(name)
            write(name + '.ready')
            return lock(mine, True)

        yield name, in_child(lambda: lock(opened(name), False))
        for end in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
            child = fork(wait)
            until(lambda: os.path.exists(name + '.ready') and waits_in_lock(child[0]))
            os.unlink(name + '.ready')
            started = time.monotonic()
            os.kill(child[0], end)
            yield name, end.name, join(child), time.monotonic() - started < 5
        # A waiter gets the lock when its holder dies.
        child = fork(wait)
        until(lambda: os.path.exists(name + '.ready') and waits_in_lock(child[0]))
        os.close(fd)
        yield name, join(child)


@case
def locks_go_with_their_owner():
    # OFD and flock locks belong to the open file: children have them, until the last one closes.
    for name in ('ofd', 'flock'):
        lock = LOCKS[name]
        fd = opened(name)
        lock(fd, False)
        yield in_child(lambda: [lock(fd, False), 'mine'][1])
        yield outcome(lock, opened(name), False)
        with forked(lambda: time.sleep(60)):
            os.close(fd)
            yield outcome(lock, opened(name), False)
        lock(opened(name), False)
    # Readers together, a writer alone; a lock can be changed.
    first, second = opened('shared'), opened('shared')
    fcntl.flock(first, fcntl.LOCK_SH)
    fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)
    yield outcome(fcntl.flock, first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(second)
    yield outcome(fcntl.flock, first, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case
def many_lockers_count_right():
    write('counter', b'0')
    for name, lock in LOCKS.items():
        def count():
            for _ in range(100):
                fd = opened('counter')
                lock(fd, True)
                value = int(os.pread(fd, 20, 0))
                os.pwrite(fd, str(value + 1).encode(), 0)
                os.close(fd)
        for child in [fork(count) for _ in range(4)]:
            join(child)
        with open('counter') as file:
            yield name, file.read()


@case
def leases():
    broken = []
    signal.signal(signal.SIGIO, lambda *_: broken.append(1))
    write('f')
    fd = os.open('f', os.O_RDONLY)
    yield outcome(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    yield outcome(fcntl.fcntl, fd, fcntl.F_GETLEASE)
    yield in_child(os.open, 'f', os.O_WRONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    broken.clear()
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    child = fork(lambda: os.open('f', os.O_WRONLY) > 0)
    until(lambda: broken)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    yield join(child)
    os.close(fd)
    fd = os.open('f', os.O_RDWR)
    yield outcome(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    yield in_child(os.open, 'f', os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    yield outcome(fcntl.fcntl, os.open('.', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
