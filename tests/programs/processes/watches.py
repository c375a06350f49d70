# SPDX-License-Identifier: Apache-2.0
#
# inotify, as a process sees what another does.

import mmap
import os
import struct

from harness import case, in_child, libc, write


EVENTS = {1 << bit: name for bit, name in enumerate(
    'access modify attrib close_write close_nowrite open moved_from moved_to create delete '
    'delete_self move_self'.split())} | {0x2000: 'unmount', 0x4000: 'overflow', 0x8000: 'ignored',
                                        0x40000000: 'dir'}


def inotify_events(fd):
    os.set_blocking(fd, False)
    try:
        data = os.read(fd, 1 << 20)
    except BlockingIOError:
        return
    cookies = {0: 0}
    while data:
        _, mask, cookie, length = struct.unpack('iIII', data[:16])
        names = '|'.join(name for bit, name in EVENTS.items() if mask & bit)
        name = data[16:16 + length].rstrip(b'\0').decode()
        # What a file without a name is called is the filesystem's own affair.
        yield (names, 'no name' if name.startswith(('#', '/')) else name,
               cookies.setdefault(cookie, len(cookies)))
        data = data[16 + length:]


@case
def inotify():
    fd = libc.inotify_init1(os.O_CLOEXEC)
    os.mkdir('d')
    os.mkdir('elsewhere')
    write('d/old', b'old')
    libc.inotify_add_watch(fd, b'd', 0xfff)
    libc.inotify_add_watch(fd, b'd/old', 0xfff)
    libc.inotify_add_watch(fd, b'elsewhere', 0xfff)

    def change():
        write('d/new', b'x')
        os.mkdir('d/sub')
        os.link('d/new', 'd/link')
        os.symlink('new', 'd/symlink')
        os.mkfifo('d/fifo')
        os.rename('d/new', 'd/newer')
        os.rename('d/newer', 'elsewhere/newer')
        os.chmod('d/old', 0o600)
        os.chown('d/old', 1, 1)
        os.utime('d/old')
        os.setxattr('d/old', 'user.x', b'y')
        os.truncate('d/old', 1)
        with open('d/old') as file:
            file.read()
        os.rename('d/old', 'elsewhere/old')
        other = os.open('elsewhere/newer', os.O_RDWR)
        mapped = mmap.mmap(other, 1)
        mapped[0] = 1
        os.close(other)
        os.rmdir('d/sub')
        os.unlink('d/link')
        os.rename('elsewhere/newer', 'elsewhere/old')  # which replaces it
        tmp = os.open('d', os.O_TMPFILE | os.O_RDWR)
        follow = 0x400
        libc.linkat(-100, b'/proc/self/fd/%d' % tmp, -100, b'd/was_tmp', follow)
        for name in sorted(os.listdir('d')):
            os.unlink('d/' + name)
        os.rmdir('d')
    yield in_child(change)
    previous = None
    for event in inotify_events(fd):
        # Directories are listed in as many calls as it takes, in any order.
        if 'dir' in event[0].split('|') and 'access' in event[0] and event == previous:
            continue
        previous = event
        yield event
