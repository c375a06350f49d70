# SPDX-License-Identifier: Apache-2.0
#
# Files without a name, limits, appending.

import os
import resource
import signal

from harness import case, fork, in_child, join, opened, outcome, write


@case
def without_a_name():
    write('f', b'content')
    fd = opened('f')
    os.unlink('f')
    yield os.fstat(fd).st_nlink, os.pread(fd, 10, 0)
    again = os.open(f'/proc/self/fd/{fd}', os.O_RDWR)
    os.write(again, b'CON')
    yield os.pread(fd, 10, 0), os.readlink(f'/proc/self/fd/{fd}').endswith('/f (deleted)')
    os.mkdir('d')
    os.chdir('d')
    os.rmdir('../d')
    yield outcome(os.getcwd), outcome(os.mkdir, 'x'), os.listdir('.')
    os.chdir('..')
    write('moving', b'm')
    fd = opened('moving')
    os.rename('moving', 'moved')
    write('moving', b'other')
    yield os.pread(fd, 10, 0), os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))
    os.rename('moving', 'moved')
    yield os.fstat(fd).st_nlink, os.pread(fd, 10, 0), open('moved').read()


@case
def limits():
    def too_large():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        fd = opened('f')
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return (os.pwrite(fd, b'x' * 100, 9950), outcome(os.pwrite, fd, b'x', 10000),
                outcome(os.ftruncate, fd, 10001), outcome(os.posix_fallocate, fd, 0, 20000),
                os.fstat(fd).st_size)
    yield in_child(too_large)

    def killed():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.ftruncate(opened('f'), 20000)
    yield in_child(killed)


@case
def appends_of_many_are_whole():
    def append(letter):
        fd = os.open('log', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for i in range(300):
            os.write(fd, bytes([letter]) * (i % 90 + 1) + b'\n')
    for child in [fork(append, ord('a') + i) for i in range(4)]:
        join(child)
    with open('log', 'rb') as file:
        lines = file.read().splitlines()
    yield len(lines), all(len(set(line)) == 1 for line in lines), sorted(map(len, lines))[::200]
