# SPDX-License-Identifier: Apache-2.0
#
# A process that keeps locks, a socket, a mapping, a deleted file and a watch over a checkpoint.

import fcntl
import mmap
import os
import shutil
import socket
import time

from harness import libc, opened, outcome, write
from locks import range_lock
from watches import inotify_events

HELD = 'holder.d'


def hold():
    shutil.rmtree(HELD, ignore_errors=True)
    os.mkdir(HELD)
    os.chdir(HELD)
    fd = opened('locked')
    range_lock(fd, fcntl.F_SETLK, fcntl.F_WRLCK, 5, 5)
    flocked = opened('flocked')
    fcntl.flock(flocked, fcntl.LOCK_EX)
    write('mapped', b'\0' * 8192)
    mapped = mmap.mmap(opened('mapped'), 8192)
    deleted = opened('deleted')
    os.unlink('deleted')
    watch = libc.inotify_init1(0)
    libc.inotify_add_watch(watch, b'.', 0x100)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind('socket.new')
    listener.listen()
    os.rename('socket.new', 'socket')
    n = 0
    while True:
        with listener.accept()[0] as connection:
            request = connection.recv(100)
            n += 1
            os.pwrite(deleted, b'kept', 0)
            mapped[4096:4104] = b'mapped %d' % n
            # Of the watch only that there were events: how many differs with how often it is asked.
            connection.send(repr((os.pread(deleted, 10, 0), os.fstat(deleted).st_nlink,
                                  bool(list(inotify_events(watch))))).encode())
            if request == b'end':
                return


def ask(request=b'ask'):
    attempts = 500 if request == b'ask' and not os.path.exists(HELD + '/socket') else 1
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for attempt in range(attempts):
        try:
            peer.connect(HELD + '/socket')
            break
        except OSError:
            if attempt + 1 == attempts:
                raise
            time.sleep(0.02)
    os.chdir(HELD)
    print(outcome(range_lock, opened('locked'), fcntl.F_SETLK, fcntl.F_RDLCK, 0, 10),
          outcome(fcntl.flock, opened('flocked'), fcntl.LOCK_SH | fcntl.LOCK_NB))
    write('event')
    os.unlink('event')
    peer.send(request)
    print(peer.recv(100))
    with open('mapped', 'rb') as file:
        print(file.read()[4096:4102])
