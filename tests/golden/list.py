# SPDX-License-Identifier: Apache-2.0
#
# Prints the tree of a sandbox, in which it runs: a line for each mount and each name, with all that
# an image keeps of it.

import hashlib
import os
import stat

# Not of the image.
BOUND = (b'/dev', b'/golden', b'/proc', b'/usr')
# Where holes are the image's, and not the host's.
IN_MEMORY = (b'/mem/', b'/new/')
READ_WHOLE = 4 << 20

TYPES = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink',
         stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'character-device',
         stat.S_IFBLK: 'block-device'}

seen = {}  # the first name of each file


def extents(fd, size):
    """The parts of a file that are no holes."""
    at, parts = 0, []
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(fd, at, os.SEEK_HOLE)
        parts.append((at, end))
        at = end
    return parts


def content(path, attributes):
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    parts = extents(fd, attributes.st_size)
    read = [(0, attributes.st_size)] if attributes.st_size <= READ_WHOLE else parts
    digest = hashlib.sha256()
    for begin, end in read:
        digest.update(os.pread(fd, end - begin, begin))
    os.close(fd)
    yield 'sha256=' + digest.hexdigest()
    if path.startswith(IN_MEMORY):
        yield 'data=' + ','.join(f'{begin}-{end}' for begin, end in parts)
        yield f'blocks={attributes.st_blocks}'


def details(path, attributes):
    kind = stat.S_IFMT(attributes.st_mode)
    yield TYPES[kind]
    yield f'{stat.S_IMODE(attributes.st_mode):04o}'
    yield f'{attributes.st_uid}:{attributes.st_gid}'
    if kind != stat.S_IFDIR:
        yield f'links={attributes.st_nlink}'
        yield f'size={attributes.st_size}'
    # The start of a sandbox may make places in it.
    if path != b'/':
        yield f'mtime={attributes.st_mtime_ns}'
    first = seen.setdefault((attributes.st_dev, attributes.st_ino), path)
    if first != path:
        yield 'same=' + quoted(first)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        yield f'device={os.major(attributes.st_rdev)}:{os.minor(attributes.st_rdev)}'
    if kind == stat.S_IFLNK:
        yield 'target=' + quoted(os.readlink(path))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        yield f'{name}=' + os.getxattr(path, name, follow_symlinks=False).hex()
    if kind == stat.S_IFREG:
        yield from content(path, attributes)


def quoted(path):
    return repr(path)[2:-1]


def show(path):
    attributes = os.lstat(path)
    print(quoted(path), *details(path, attributes))
    if stat.S_ISDIR(attributes.st_mode):
        for name in sorted(os.listdir(path)):
            child = os.path.join(path, name)
            if child not in BOUND:
                show(child)


for line in open('/proc/self/mountinfo', 'rb'):
    words = line.split()
    place = words[4]
    if place.startswith(BOUND):
        continue
    size = os.statvfs(place)
    limits = f' size={size.f_blocks * size.f_frsize} inodes={size.f_files}' if place == b'/mem' else ''
    print('mount', quoted(place), words[5].decode() + limits)
show(b'/')
