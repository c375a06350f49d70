// SPDX-License-Identifier: Apache-2.0
//
// upgrade_programs.h: programs that notice if anything of theirs is not as it was.

#ifndef STASIS_TESTS_CMD_STASIS_UPGRADE_PROGRAMS_H_
#define STASIS_TESTS_CMD_STASIS_UPGRADE_PROGRAMS_H_

namespace stasis::cli {

// In directory argv[1], new: holds one of everything and checks it in a loop. Writes the number of
// the round to ROUND there, and what is wrong to FAILED, and ends. Ends well when STOP is there.
inline constexpr char kHoldsEverything[] = R"PY(
import ctypes, errno, fcntl, mmap, os, select, signal, struct, sys, time, traceback

top = sys.argv[1]
os.makedirs(top)
libc = ctypes.CDLL(None, use_errno=True)

def lock_words(kind):
    return struct.pack('hhqqi4x', kind, os.SEEK_SET, 0, 0, 0)

def locked_by_another(path, how):
    # A child, because POSIX locks are a process's.
    pid = os.fork()
    if pid == 0:
        fd = os.open(path, os.O_RDWR)
        try:
            how(fd)
        except OSError as e:
            os._exit(0 if e.errno in (errno.EAGAIN, errno.EACCES) else 2)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

class Everything:
    def __init__(self):
        self.log = os.open('log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self.lines = 0
        self.deleted = os.open('deleted', os.O_RDWR | os.O_CREAT)
        os.write(self.deleted, b'x' * 300000)
        os.unlink('deleted')
        self.mapped_fd = os.open('mapped', os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.mapped_fd, 65536)
        self.map = mmap.mmap(self.mapped_fd, 65536)
        os.mkdir('many')
        for i in range(300):
            os.close(os.open('many/%03d' % i, os.O_CREAT))
        self.begin_listing()
        os.mkdir('cwd')
        os.chdir('cwd')
        self.cwd = 0
        os.mkdir('../watched')
        self.inotify = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.inotify, b'../watched', 0x100) > 0  # IN_CREATE
        self.posix = os.open('../posix', os.O_RDWR | os.O_CREAT)
        fcntl.lockf(self.posix, fcntl.LOCK_EX)
        self.ofd = os.open('../ofd', os.O_RDWR | os.O_CREAT)
        fcntl.fcntl(self.ofd, 37, lock_words(fcntl.F_WRLCK))  # F_OFD_SETLK
        self.flock = os.open('../flock', os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.flock, fcntl.LOCK_EX)
        self.waiters = [self.waiter(how) for how in (
            lambda: fcntl.lockf(os.open('../posix', os.O_RDWR), fcntl.LOCK_EX),
            lambda: fcntl.flock(os.open('../flock', os.O_RDWR), fcntl.LOCK_EX))]
        self.directory = os.open('../many', os.O_RDONLY)
        os.link('../log', '../log2')

    def waiter(self, how):
        pid = os.fork()
        if pid == 0:
            how()
            os._exit(7)
        return pid

    def begin_listing(self):
        self.listing = os.scandir(os.path.join(top, 'many'))
        self.seen = []

    def check(self, n):
        self.lines += 1
        os.write(self.log, b'line %06d\n' % self.lines)
        assert os.fstat(self.log).st_size == 12 * self.lines, 'size of the log'
        assert os.pread(self.log, 12, 12 * (self.lines - 1)) == b'line %06d\n' % self.lines
        assert os.stat('../log2').st_ino == os.fstat(self.log).st_ino, 'hard link'
        assert os.fstat(self.deleted).st_nlink == 0
        os.pwrite(self.deleted, b'%08d' % n, n * 8 % 300000)
        assert os.pread(self.deleted, 8, n * 8 % 300000) == b'%08d' % n
        assert os.pread(self.deleted, 1, 299999) in (b'x', b'0123456789'[n % 10:n % 10 + 1])
        at = n * 8 % 65536
        self.map[at:at + 8] = b'%08d' % n
        if n % 7 == 0:
            self.map.flush()
        assert os.pread(self.mapped_fd, 8, at) == b'%08d' % n, 'mapping'
        for _ in range(20):
            entry = next(self.listing, None)
            if entry is None:
                assert sorted(self.seen) == ['%03d' % i for i in range(300)], 'listing'
                self.begin_listing()
            else:
                self.seen.append(entry.name)
        assert os.getcwd() == top + '/cwd%s' % (self.cwd or ''), os.getcwd()
        self.cwd += 1
        os.rename(os.getcwd(), top + '/cwd%d' % self.cwd)
        name = b'w%06d' % n
        os.close(os.open(b'../watched/' + name, os.O_CREAT))
        assert select.select([self.inotify], [], [], 10)[0], 'no event'
        event = os.read(self.inotify, 4096)
        assert event[16:16 + len(name)] == name, event
        os.unlink(b'../watched/' + name)
        if n % 5 == 0:
            assert locked_by_another('../posix', lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
            assert locked_by_another('../ofd', lambda fd: fcntl.fcntl(fd, 37, lock_words(fcntl.F_WRLCK)))
            assert locked_by_another('../flock', lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
        for pid in self.waiters:
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), 'a waiter got the lock'
        assert os.stat('%03d' % (n % 300), dir_fd=self.directory).st_size == 0

    def end(self):
        fcntl.lockf(self.posix, fcntl.LOCK_UN)
        fcntl.flock(self.flock, fcntl.LOCK_UN)
        for pid in self.waiters:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, 'the waiter'

def write(name, text):
    with open(top + '/' + name + '.new', 'w') as f:
        f.write(text)
    os.rename(top + '/' + name + '.new', top + '/' + name)

try:
    os.chdir(top)
    everything = Everything()
    n = 0
    while not os.path.exists(top + '/STOP'):
        n += 1
        everything.check(n)
        write('ROUND', str(n))
        time.sleep(0.001)
    everything.end()
    write('ENDED', 'well')
except BaseException:
    write('FAILED', traceback.format_exc())
)PY";

// In directory argv[1], new: argv[2] processes that write, read, rename and list files of their
// own, each of which foresees what it finds. The same files.
inline constexpr char kWorks[] = R"PY(
import os, random, sys, traceback

top, count = sys.argv[1], int(sys.argv[2])
os.makedirs(top)

def work(who):
    mine = '%s/%d' % (top, who)
    os.mkdir(mine)
    rng = random.Random(who)
    files, made, rounds = {}, 0, 0
    while not os.path.exists(top + '/STOP'):
        rounds += 1
        action = rng.randrange(5)
        name = rng.choice(list(files)) if files and action else None
        if name is None:
            name = 'f%d' % made
            made += 1
            files[name] = b''
            os.close(os.open(mine + '/' + name, os.O_CREAT | os.O_EXCL | os.O_RDWR))
        elif action == 1:
            data = bytes([rng.randrange(256)]) * rng.randrange(1, 40000)
            with open(mine + '/' + name, 'ab', buffering=0) as f:
                assert f.write(data) == len(data)
            files[name] += data
            if len(files[name]) > 200000:
                os.unlink(mine + '/' + name)
                del files[name]
        elif action == 2:
            with open(mine + '/' + name, 'rb', buffering=0) as f:
                assert f.read() == files[name], name
        elif action == 3:
            new = 'f%d' % made
            made += 1
            os.rename(mine + '/' + name, mine + '/' + new)
            files[new] = files.pop(name)
        else:
            assert sorted(os.listdir(mine)) == sorted(files)
            assert os.stat(mine + '/' + name).st_size == len(files[name])
        if len(files) > 40:
            name = rng.choice(list(files))
            os.unlink(mine + '/' + name)
            del files[name]
        if rounds % 10 == 0:
            with open(top + '/ROUND%d' % who, 'w') as f:
                f.write(str(rounds))

pids = []
for who in range(count):
    pid = os.fork()
    if pid == 0:
        try:
            work(who)
        except BaseException:
            with open(top + '/FAILED', 'w') as f:
                f.write(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    pids.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in pids]
with open(top + '/ENDED', 'w') as f:
    f.write('well' if not any(codes) else str(codes))
)PY";

// In directory argv[1], new: reads and writes a file that it holds open, by calls and a mapping,
// and makes, moves and deletes others while they are open. The same files.
inline constexpr char kUsesOpenFiles[] = R"PY(
import mmap, os, sys, time, traceback

top = sys.argv[1]
os.makedirs(top)

def write(name, text):
    with open(top + '/' + name + '.new', 'w') as f:
        f.write(text)
    os.rename(top + '/' + name + '.new', top + '/' + name)

try:
    os.chdir(top)
    held = os.open('held', os.O_RDWR | os.O_CREAT)
    os.ftruncate(held, 4096)
    view = mmap.mmap(held, 4096)
    n = 0
    while not os.path.exists(top + '/STOP'):
        n += 1
        data = b'%08d' % n
        os.pwrite(held, data, 0)
        assert view[:8] == data, view[:8]
        view[8:16] = data
        assert os.pread(held, 16, 0) == data + data
        os.utime('held', ns=(n * 10**9, n * 10**9))
        assert os.stat('held').st_mtime_ns == n * 10**9
        directory = 'd%d' % n
        os.mkdir(directory)
        one = os.open('one', os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.write(one, data)
        os.rename('one', directory + '/two')
        os.link(directory + '/two', 'name')
        os.rename(directory, directory + 'm')
        assert os.listdir(directory + 'm') == ['two']
        os.unlink('name')
        os.ftruncate(one, 4)
        assert os.stat(directory + 'm/two').st_size == 4
        os.unlink(directory + 'm/two')
        os.pwrite(one, data, 4)
        assert os.pread(one, 100, 0) == data[:4] + data
        os.close(one)
        os.rmdir(directory + 'm')
        os.symlink('held', 'link')
        assert os.stat('link').st_size == 4096
        os.unlink('link')
        if n % 5 == 0:
            write('ROUND', str(n))
    write('ENDED', 'well')
except BaseException:
    write('FAILED', traceback.format_exc())
)PY";

// Reads files of /data: one that it holds open, by calls and a mapping, and others that it opens
// each time, of which it leaves some open. The same files, in /t.
inline constexpr char kReadsOpenFiles[] = R"PY(
import mmap, os, time, traceback

os.mkdir('/t')
def write(name, text):
    with open('/t/' + name + '.new', 'w') as f:
        f.write(text)
    os.rename('/t/' + name + '.new', '/t/' + name)

try:
    held = os.open('/data/held', os.O_RDONLY)
    size = os.fstat(held).st_size
    view = mmap.mmap(held, size, prot=mmap.PROT_READ)
    whole = os.pread(held, size, 0)
    assert len(whole) == size
    others, n = {}, 0
    while not os.path.exists('/t/STOP'):
        n += 1
        at = n * 4099 % (size - 100)
        assert os.pread(held, 100, at) == whole[at:at + 100]
        assert view[at:at + 100] == whole[at:at + 100]
        assert os.fstat(held).st_size == size
        which = n % 50 + 1
        if which in others:
            os.close(others.pop(which))
        other = os.open('/data/%d' % which, os.O_RDONLY)
        assert os.read(other, 100) == b'%d\n' % which
        if n % 3:
            os.close(other)
        else:
            others[which] = other
        for which, other in others.items():
            assert os.pread(other, 100, 0) == b'%d\n' % which
        write('ROUND', str(n))
    write('ENDED', 'well')
except BaseException:
    write('FAILED', traceback.format_exc())
)PY";

}  // namespace stasis::cli

#endif  // STASIS_TESTS_CMD_STASIS_UPGRADE_PROGRAMS_H_
