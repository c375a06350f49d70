# SPDX-License-Identifier: Apache-2.0
#
# Named pipes and Unix sockets.

import array
import contextlib
import os
import select
import socket
import stat
import struct

from harness import as_user, case, fork, join, outcome


@case
def fifo():
    os.mkfifo('p')
    yield outcome(os.open, 'p', os.O_WRONLY | os.O_NONBLOCK)
    reader = fork(lambda: open('p', 'rb').read())
    with open('p', 'wb') as file:  # waits for the reader
        file.write(b'through the tree')
    yield join(reader)
    # Writes of up to PIPE_BUF of several writers are not mixed.
    read_end = os.open('p', os.O_RDONLY | os.O_NONBLOCK)
    writers = []
    for i in range(4):
        def write_all(letter=bytes([ord('a') + i])):
            fd = os.open('p', os.O_WRONLY)
            for _ in range(200):
                os.write(fd, letter * select.PIPE_BUF)
        writers.append(fork(write_all))
    whole = mixed = 0
    pending = b''
    while whole + mixed < 4 * 200:
        select.select([read_end], [], [])
        # Nothing, or an error: none of the writers has come yet, or one comes just now.
        with contextlib.suppress(BlockingIOError):
            pending += os.read(read_end, 65536)
        while len(pending) >= select.PIPE_BUF:
            block, pending = pending[:select.PIPE_BUF], pending[select.PIPE_BUF:]
            whole, mixed = (whole + 1, mixed) if len(set(block)) == 1 else (whole, mixed + 1)
    for writer in writers:
        join(writer)
    yield whole, mixed, len(pending)
    os.close(read_end)
    write_end = os.open('p', os.O_RDWR)
    yield os.write(write_end, b'x'), os.read(write_end, 1)
    yield stat.S_ISFIFO(os.stat('p').st_mode), os.stat('p').st_size


@case
def sockets():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        name = f's{int(kind)}'
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(name)
        yield outcome(socket.socket(socket.AF_UNIX, kind).bind, name)
        os.symlink(name, name + '.link')
        if kind != socket.SOCK_DGRAM:
            server.listen()

        def client():
            peer = socket.socket(socket.AF_UNIX, kind)
            peer.bind(name + '.client')
            peer.connect(name + '.link')
            peer.sendall(b'first')
            peer.sendall(b'second')
            # A file of the tree goes with a message.
            fd = os.open('passed', os.O_CREAT | os.O_RDWR)
            os.write(fd, b'of the client')
            peer.sendmsg([b'fd'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
            return peer.recv(100) if kind != socket.SOCK_DGRAM else b'-'

        child = fork(client)
        connection = server if kind == socket.SOCK_DGRAM else server.accept()[0]
        if kind == socket.SOCK_STREAM:
            yield connection.recv(11, socket.MSG_WAITALL)
        else:
            yield connection.recv(100), connection.recv(100)
        message, ancillary, _, sender = connection.recvmsg(2, 100)
        fd = struct.unpack('i', ancillary[0][2])[0]
        yield message, os.pread(fd, 100, 0), sender
        if kind != socket.SOCK_DGRAM:
            connection.send(b'back')
        yield join(child), stat.S_ISSOCK(os.stat(name).st_mode)
        os.rename(name, name + '.moved')
        yield outcome(socket.socket(socket.AF_UNIX, kind).connect, name)
        os.chmod(name + '.moved', 0o600)
        yield as_user(1000, socket.socket(socket.AF_UNIX, kind).connect, name + '.moved')
        server.close()
        yield outcome(socket.socket(socket.AF_UNIX, kind).connect, name + '.moved')
        yield outcome(os.open, name + '.moved', os.O_RDONLY)
