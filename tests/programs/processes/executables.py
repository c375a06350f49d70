# SPDX-License-Identifier: Apache-2.0
#
# Programs that are run from the tree, and chroot.

import ctypes
import os
import shutil
import signal
import tempfile

from harness import case, fork, in_child, join, outcome, until, write


def run(*line, **options):
    def call():
        os.execv(line[0], line)
    with tempfile.TemporaryFile() as file:
        def redirected():
            os.dup2(file.fileno(), 1)
            if 'uid' in options:
                os.setgroups([])
                os.setresgid(options['uid'], options['uid'], options['uid'])
                os.setresuid(options['uid'], options['uid'], options['uid'])
            call()
        failure = in_child(redirected)
        file.seek(0)
        return failure or file.read().decode()


@case
def programs():
    write('script', b'#!/bin/sh\necho "$0 $1"\n')
    yield run('./script', 'x')
    os.chmod('script', 0o755)
    yield run('./script', 'x')
    write('chain', b'#!./script two\n')
    os.chmod('chain', 0o755)
    yield run('./chain')
    write('lost', b'#!/no/such/interpreter\n')
    os.chmod('lost', 0o755)
    yield run('./lost')
    write('text', b'no program\n')
    os.chmod('text', 0o755)
    yield run('./text'), run('./missing'), run('.')
    shutil.copy('/usr/bin/id', 'id')
    yield run('./id', '-u')
    # Set-ID bits count.
    os.chown('id', 1234, 2345)
    os.chmod('id', 0o6755)
    yield run('./id', '-u', uid=1000), run('./id', '-g', uid=1000)
    os.chmod('id', 0o700)
    yield run('./id', '-u', uid=1000)
    # A program that runs is not written to, what is written to does not run.
    shutil.copy('/usr/bin/sleep', 'sleep')
    child = fork(lambda: os.execv('./sleep', ['sleep', '60']))
    until(lambda: os.readlink(f'/proc/{child[0]}/exe').endswith('/sleep'))
    yield outcome(os.open, 'sleep', os.O_WRONLY), outcome(os.truncate, 'sleep', 0)
    os.rename('sleep', 'moved')
    os.unlink('moved')
    yield os.path.basename(os.readlink(f'/proc/{child[0]}/exe'))
    os.kill(child[0], signal.SIGKILL)
    yield join(child)
    shutil.copy('/usr/bin/true', 'busy')
    writer = os.open('busy', os.O_WRONLY)
    yield run('./busy')
    os.close(writer)
    yield run('./busy')
    # A program by its descriptor, and without a name.
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o755)
    with open('/usr/bin/true', 'rb') as file:
        os.write(fd, file.read())
    read_only = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
    os.close(fd)
    yield in_child(lambda: os.execve(read_only, ['true'], {}))
    # A library.
    with open('/proc/self/maps') as maps:
        shutil.copy(next(line.split()[-1] for line in maps if '/libm.so' in line), 'library')
    yield in_child(lambda: bool(ctypes.CDLL(os.path.abspath('library')).cos))


@case
def chroot():
    os.makedirs('new/root/d')
    write('outside', b'out')
    write('new/root/inside', b'in')
    os.symlink('/inside', 'new/root/absolute')
    os.symlink('../../../../outside', 'new/root/upwards')
    os.link('outside', 'new/root/linked')

    def inside():
        os.chroot('new/root')
        os.chdir('/')
        return (sorted(os.listdir('/')), sorted(os.listdir('/..')), open('/absolute').read(),
                outcome(os.open, '/upwards', os.O_RDONLY), open('/d/../../../inside').read(),
                open('linked').read(), os.getcwd())
    yield in_child(inside)
