# SPDX-License-Identifier: Apache-2.0
#
# In the sandbox of a golden image: makes one of everything, holds open what can be, and makes
# /ready when all is there.

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)
NANOSECONDS = 1_000_000_000


def write(path, data, at=0):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(fd, data, at)
    os.close(fd)


def text(size, seed='golden'):
    return (''.join(f'{seed} {i}\n' for i in range(size // 8 + 1)).encode())[:size]


# The value of system.posix_acl_*: tag, permissions, id of each entry.
def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


OWNER, USER, GROUP, MASK, OTHER, NOBODY = 0x01, 0x02, 0x04, 0x10, 0x20, 0xffffffff
ACCESS = acl((OWNER, 6, NOBODY), (USER, 5, 1000), (GROUP, 4, NOBODY), (MASK, 5, NOBODY),
             (OTHER, 0, NOBODY))


def files(top):
    """Every kind of file, in the new directory `top`."""
    os.mkdir(top)
    os.chdir(top)
    for size in (0, 1, 4095, 4096, 16383, 16384, 16385, 100_000):
        write(f'size{size}', text(size))
    os.symlink('size1', 'symlink')
    os.symlink('nowhere/' + 'x' * 200, 'dangling')
    os.mkdir('names')
    for name in (b'new\nline', b'not\xff\xfeutf8', b'n' * 255, 'gr\u00fcn'.encode()):
        write(b'names/' + name, name)
    os.makedirs('deep/' + '/'.join('abcdefgh'))
    write('deep/a/b/c/file', b'deep')
    os.mkdir('many')
    for i in range(30):
        os.mknod(f'many/{i:02}')
    os.link('size16385', 'hardlink')
    os.link('size16385', 'deep/hardlink')
    os.mkfifo('fifo', 0o622)
    write('setuid', b'#!/bin/sh\n')
    os.chmod('setuid', 0o6755)
    write('owned', b'of a user')
    os.chown('owned', 1000, 1001)
    os.mkdir('sticky')
    os.chmod('sticky', 0o1777)
    write('attributes', b'')
    os.setxattr('attributes', 'user.empty', b'')
    os.setxattr('attributes', 'user.binary', bytes(range(256)))
    write('acl', b'with a list')
    os.setxattr('acl', 'system.posix_acl_access', ACCESS)
    os.mkdir('acl_directory')
    os.setxattr('acl_directory', 'system.posix_acl_default', ACCESS)
    write('acl_directory/inherits', b'')


def only_in_memory():
    """What no host directory takes, or no copy of one keeps."""
    socket.socket(socket.AF_UNIX).bind('socket')
    os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod('loop', stat.S_IFBLK | 0o660, os.makedev(7, 0))
    os.setxattr('attributes', 'trusted.golden', b'trusted')
    os.setxattr('setuid', 'security.capability',
                struct.pack('<IIIII', 0x02000001, 1 << 12, 0, 0, 0))  # CAP_NET_ADMIN
    write('sparse', b'end', 64 << 20)
    write('sparse', b'middle', 1 << 20)
    fd = os.open('reserved', os.O_RDWR | os.O_CREAT)
    os.write(fd, b'reserved')
    libc.fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(50_000))  # KEEP_SIZE
    os.close(fd)


def change_layers():
    """What an overlay keeps of what was below."""
    os.chdir('/base')
    with open('appended', 'ab') as f:
        f.write(b'more\n')
    os.chmod('chmod', 0o600)
    os.unlink('deleted')
    with open('linked', 'ab') as f:
        f.write(b'copied up\n')
    os.rename('renamed', 'of_another_name')
    os.truncate('truncated', 100)
    os.unlink('gone/deep/f')
    os.rmdir('gone/deep')
    os.rmdir('gone')
    os.rename('moved', 'elsewhere')
    os.unlink('replaced/old')
    os.rmdir('replaced')
    os.mkdir('replaced')
    write('replaced/new', b'new')


def change_host():
    os.chdir('/host')
    with open('appended', 'ab') as f:
        f.write(b'more\n')
    os.unlink('deleted')
    os.rename('d', 'e')
    os.chdir('/shared')
    write('three', b'three\n')


# Of everything but what has a time that says something.
def set_times(tops):
    moment = 1_000_000_000 * NANOSECONDS + 123_456_789
    for top in tops:
        for folder, folders, names in os.walk(top, topdown=False):
            for name in names + folders:
                moment += NANOSECONDS
                os.utime(os.path.join(folder, name), ns=(moment, moment), follow_symlinks=False)
        os.utime(top, ns=(moment, moment))


class Held:
    """Lives as long as the process."""

    def __init__(self):
        self.fds = []
        for top in ('/new', '/mem/new', '/host/new', '/base'):
            self.hold_deleted(top)
        self.hold_open('/mem/new')
        self.hold_locks('/mem/new')
        self.hold_locks('/host/new')
        self.watch('/mem/new')
        self.sit_in_a_deleted_directory('/mem/new')

    def open(self, path, flags=os.O_RDWR, mode=0o644):
        self.fds.append(os.open(path, flags, mode))
        return self.fds[-1]

    def hold_deleted(self, top):
        path = top + '/' + 'deleted_open'
        fd = self.open(path, os.O_RDWR | os.O_CREAT)
        os.write(fd, text(20_000, top))
        os.lseek(fd, 5, os.SEEK_SET)
        os.unlink(path)
        if top == '/base':
            self.open('/base/held', os.O_RDONLY)
            os.unlink('/base/held')
        if top == '/host/new':
            self.open('/host/held', os.O_RDONLY)
            os.unlink('/host/held')

    def hold_open(self, top):
        half = self.open(top + '/size100000', os.O_RDONLY)
        os.read(half, 40_000)
        self.fds.append(os.dup(half))
        self.open(top + '/size4096', os.O_WRONLY | os.O_APPEND)
        self.open(top + '/symlink', os.O_PATH | os.O_NOFOLLOW)
        self.fifo = self.open(top + '/fifo', os.O_RDWR)
        directory = self.open(top + '/many', os.O_RDONLY)
        read = libc.syscall(217, directory, ctypes.create_string_buffer(300), 300)  # getdents64
        assert 0 < read <= 300
        # A shared mapping, of a file that has lost its name.
        fd = self.open(top + '/mapped', os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, 8192)
        self.map = mmap.mmap(fd, 8192)
        self.map[:6] = b'mapped'
        self.map.flush()
        os.unlink(top + '/mapped')

    def hold_locks(self, top):
        fd = self.open(top + '/size16384')
        fcntl.lockf(fd, fcntl.LOCK_EX, 100, 0)
        fcntl.lockf(fd, fcntl.LOCK_SH, 0, 1000)
        fd = self.open(top + '/size16385')
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 10, 20, 0)
        fcntl.fcntl(fd, 37, lock)  # F_OFD_SETLK
        fcntl.flock(self.open(top + '/size1'), fcntl.LOCK_EX)

    def watch(self, top):
        self.inotify = libc.inotify_init1(os.O_NONBLOCK)
        for path, events in ((top + '/many', 0x100), (top + '/size1', 0x2)):  # CREATE, MODIFY
            assert libc.inotify_add_watch(self.inotify, path.encode(), events) > 0

    def sit_in_a_deleted_directory(self, top):
        os.mkdir(top + '/sat_in')
        os.chdir(top + '/sat_in')
        os.rmdir(top + '/sat_in')


os.umask(0o022)
change_layers()
change_host()
for top in ('/new', '/mem/new', '/host/new'):
    files(top)
    if top != '/host/new':
        only_in_memory()
held = Held()
set_times(('/new', '/mem', '/host', '/shared', '/base/replaced'))
for name, moment in (('past', -1), ('future', 4_102_444_800)):
    write('/new/' + name, name.encode())
    os.utime('/new/' + name, ns=(moment * NANOSECONDS + 1, moment * NANOSECONDS + 999_999_999))
os.utime('/new', ns=(0, 0))
os.mkdir('/ready')
signal.pause()
