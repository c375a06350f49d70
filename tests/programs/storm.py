# SPDX-License-Identifier: Apache-2.0
#
# A storm of names: processes each of which changes names of its own, at random, in directories that
# all share, foresees the result of every call, and notes each step in a log when it is made.
#
#   go-on STEPS  makes so many steps more, while another process lists; prints what is there then
#   check        what is there must be what came of the steps in the logs, or of one step more

import collections
import contextlib
import ctypes
import errno
import os
import random
import stat
import sys

OWNERS = 4
DIRECTORIES = ['d0', 'd1', 'd2']
STAYS = {f'stays{i}' for i in range(60)}
NOREPLACE, EXCHANGE = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


def rename(source, target, flags):
    if libc.renameat2(-100, source.encode(), -100, target.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), 'renameat2')


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


class Owner:
    def __init__(self, number):
        self.name = f'owner{number}.'
        self.random = random.Random(number)
        self.names = {}  # path: (file, whether it is a directory)
        self.files = 0

    def path(self):
        return f'{self.random.choice(DIRECTORIES)}/{self.name}{self.random.randrange(6)}'

    def step(self):
        """Foresees the next call; returns it with its error."""
        source, target = self.path(), self.path()
        flags = self.random.choice([0, 0, 0, NOREPLACE, EXCHANGE])
        call, *arguments = self.random.choice([
            (create, source), (os.mkdir, source), (os.link, source, target), (os.unlink, source),
            (os.rmdir, source), (rename, source, target, flags), (rename, source, target, 0)])
        return call, arguments, self.foresee(call, *arguments)

    def foresee(self, call, source, target=None, flags=0):
        names = self.names
        if call in (create, os.mkdir):
            if source in names:
                return errno.EEXIST
            self.files += 1
            names[source] = (self.files, call == os.mkdir)
            return 0
        if source not in names:
            return errno.ENOENT
        is_directory = names[source][1]
        if call == os.unlink:
            if is_directory:
                return errno.EISDIR
            del names[source]
        elif call == os.rmdir:
            if not is_directory:
                return errno.ENOTDIR
            del names[source]
        elif call == os.link:
            if target in names:
                return errno.EEXIST
            if is_directory:
                return errno.EPERM
            names[target] = names[source]
        elif flags == EXCHANGE:
            if target not in names:
                return errno.ENOENT
            names[source], names[target] = names[target], names[source]
        elif target not in names or flags == 0:
            if target in names:
                if names[source][0] == names[target][0]:
                    return 0
                if is_directory != names[target][1]:
                    return errno.ENOTDIR if is_directory else errno.EISDIR
            names[target] = names.pop(source)
        else:
            return errno.EEXIST
        return 0

    def foreseen(self):
        return describe(self.names)

    def found(self):
        there = {}
        for directory in DIRECTORIES:
            for name in os.listdir(directory):
                if name.startswith(self.name):
                    status = os.lstat(f'{directory}/{name}')
                    there[f'{directory}/{name}'] = (status.st_ino, stat.S_ISDIR(status.st_mode))
        return describe(there)

    def log(self):
        """How many steps are in the log."""
        with contextlib.suppress(FileNotFoundError), open(self.name + 'log', 'rb') as log:
            lines = log.read().split(b'\n')
            assert lines.pop() == b'', f'{self.name}log: half a line'
            assert lines == [b'%d' % (i + 1) for i in range(len(lines))], f'{self.name}log: {lines}'
            return len(lines)
        return 0

    def catch_up(self):
        steps = self.log()
        for _ in range(steps):
            self.step()
        return steps

    def go_on(self, steps):
        made = self.catch_up()
        log = os.open(self.name + 'log', os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for number in range(made + 1, made + steps + 1):
            call, arguments, foreseen = self.step()
            error = 0
            try:
                call(*arguments)
            except OSError as failure:
                error = failure.errno
            assert error == foreseen, (number, call.__name__, arguments, error, foreseen)
            os.write(log, b'%d\n' % number)


def describe(names):
    """Which names there are, and which of them are one file."""
    numbers = {}
    return [(path, numbers.setdefault(file, len(numbers)), is_directory)
            for path, (file, is_directory) in sorted(names.items())]


def list_until_closed(stopped):
    """Each entry that stays is there once in every list."""
    os.set_blocking(stopped, False)
    while True:
        for directory in DIRECTORIES:
            seen = collections.Counter(os.listdir(directory))
            assert all(seen[name] == 1 for name in STAYS), (directory, seen)
        with contextlib.suppress(BlockingIOError):
            os.read(stopped, 1)
            return


def fork(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
        except BaseException as failure:
            print(repr(failure), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid


def go_on(steps):
    for directory in DIRECTORIES:
        if not os.path.exists(directory):
            os.mkdir(directory)
            for name in sorted(STAYS):
                create(f'{directory}/{name}')
    owners = [Owner(number) for number in range(OWNERS)]
    stopped, stop = os.pipe()

    def look():
        os.close(stop)
        list_until_closed(stopped)
    lister = fork(look)
    workers = [fork(owner.go_on, steps) for owner in owners]
    failed = [pid for pid in workers if os.waitpid(pid, 0)[1] != 0]
    os.close(stop)
    assert os.waitpid(lister, 0)[1] == 0 and not failed
    check(owners, exactly=True)
    print(*(owner.found() for owner in owners), sep='\n')


def check(owners, exactly=False):
    expected = collections.Counter(f'{directory}/{name}'
                                   for directory in DIRECTORIES for name in STAYS)
    for owner in owners:
        steps = owner.catch_up()
        found = owner.found()
        if found != owner.foreseen() and not exactly:
            owner.step()  # which was made, but not noted yet
        assert found == owner.foreseen(), (owner.name, steps, found, owner.foreseen())
        expected.update(list(owner.names))
    there = collections.Counter(f'{directory}/{name}' for directory in DIRECTORIES
                                for name in os.listdir(directory))
    assert there == expected, (there - expected, expected - there)


if sys.argv[1] == 'go-on':
    go_on(int(sys.argv[2]))
else:
    check([Owner(number) for number in range(OWNERS)])
