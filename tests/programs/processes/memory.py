# SPDX-License-Identifier: Apache-2.0
#
# Shared mappings, and data that goes from file to file in the kernel.

import mmap
import os
import signal
import struct

from harness import case, fork, in_child, join, opened, outcome, until, write


@case
def shared_mappings():
    write('f', b'\0' * (1 << 20))
    fd = opened('f')
    shared = mmap.mmap(fd, 1 << 20)

    def other():
        mine = mmap.mmap(opened('f'), 1 << 20)
        until(lambda: mine[0] == 1)
        for page in range(1, 256):
            mine[page * 4096:page * 4096 + 4] = struct.pack('i', page)
        mine[1] = 2
        return True
    child = fork(other)
    shared[0] = 1
    until(lambda: shared[1] == 2)
    yield all(struct.unpack('i', shared[page * 4096:page * 4096 + 4])[0] == page
              for page in range(1, 256))
    yield join(child), os.pread(fd, 4, 4096 * 200)
    os.pwrite(fd, b'by write', 4096 * 3)
    yield shared[4096 * 3:4096 * 3 + 8]
    private = mmap.mmap(fd, 4096, mmap.MAP_PRIVATE)
    private[:3] = b'own'
    yield shared[:3], os.pread(fd, 3, 0)
    os.ftruncate(fd, 4096 * 2)
    yield in_child(lambda: shared[4096 * 5])
    os.ftruncate(fd, 1 << 20)
    yield shared[4096 * 5], shared[4096], os.pread(fd, 4, 4096 * 200)
    os.unlink('f')
    shared[10:15] = b'after'
    shared.flush()
    yield os.pread(fd, 5, 10)
    write('g', b'\0' * 4096)
    read_only = os.open('g', os.O_RDONLY)
    yield outcome(lambda: mmap.mmap(read_only, 4096, mmap.MAP_SHARED, mmap.PROT_WRITE))
    # What a process wrote to a mapping is there after it was killed.
    write('k', b'\0' * 65536)

    def die():
        memory = mmap.mmap(opened('k'), 65536)
        memory[65000:65005] = b'still'
        os.kill(os.getpid(), signal.SIGKILL)
    yield in_child(die), os.pread(opened('k'), 5, 65000)


@case
def neighbours_in_a_mapping():
    write('f', b'\0' * 4096)

    def count(at):
        memory = mmap.mmap(opened('f'), 4096)
        for i in range(20000):
            memory[at] = i & 0xff
            if memory[at] != i & 0xff:
                return i
        return 'own bytes only'
    yield [join(child) for child in [fork(count, at) for at in range(4)]]


@case
def pipes_between_files():
    write('from', bytes(range(256)) * 4096)
    source, target = opened('from'), opened('to')
    yield os.sendfile(target, source, 0, 300000)
    read_end, write_end = os.pipe()
    moved = 0
    while moved < 1 << 20:
        n = os.splice(source, write_end, 65536, offset_src=moved)
        left = n
        while left:
            left -= os.splice(read_end, target, left, offset_dst=300000 + moved + n - left)
        moved += n
    yield os.copy_file_range(source, target, 500000, 0, 2000000)
    with open('to', 'rb') as file:
        content = file.read()
    expected = bytearray((bytes(range(256)) * 4096)[:300000] + bytes(range(256)) * 4096)
    expected.extend(b'\0' * (2000000 - len(expected)))
    yield len(content), content == bytes(expected) + (bytes(range(256)) * 4096)[:500000]
