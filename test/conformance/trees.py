"""The source trees of the conformance run: `tree` has everything but `wide`, a directory of 10,000 names; `layers` makes
two trees and what they are merged."""
import os, shutil, socket, stat, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fixtures/erofs'))
from make import acl, noise, text

NONE = 0xffffffff
ACL = acl((1, 6, NONE), (2, 7, 1000), (4, 4, NONE), (8, 5, 70000), (16, 7, NONE), (32, 4, NONE))
CAPABILITY = bytes.fromhex('0100000202040000000000000000000000000000')
# seconds and nanoseconds: whole, fractional, before 1970, past 32 bits
TIMES = [(1_234_567_890, 0), (1_600_000_000, 123_456_789), (-1_000_000, 0), (1, 999_999_999), (5_000_000_000, 1)]


class Tree:
    """A folder to put things in, then given times."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        os.makedirs(root, exist_ok=True)

    def at(self, name):
        path = os.path.join(self.root, os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def put(self, name, data=b'', mode=0o644, xattrs={}):
        path = self.at(name)
        with open(path, 'wb') as f:
            f.write(data)
        os.chmod(path, mode)
        self.mark(name, xattrs)

    def dir(self, name, mode=0o755, xattrs={}):
        os.makedirs(self.at(name), exist_ok=True)
        os.chmod(self.at(name), mode)
        self.mark(name, xattrs)

    def node(self, name, mode, major=0, minor=0):
        os.mknod(self.at(name), mode, os.makedev(major, minor))

    def symlink(self, name, target):
        os.symlink(target, self.at(name))

    def link(self, name, to):
        os.link(self.at(to), self.at(name))

    def mark(self, name, xattrs):
        for k, v in xattrs.items():
            os.setxattr(self.at(name), k, v, follow_symlinks=False)

    def settle(self):
        """Gives every inode a time of its own; the root's is whole, for images that keep it in a compact inode."""
        i = 0
        for folder, dirs, files in os.walk(self.root, topdown=False):
            dirs.sort()
            for name in sorted(files) + dirs:
                seconds, nanos = TIMES[i % len(TIMES)]
                os.utime(os.path.join(folder, name), ns=(0, (seconds + i) * 10**9 + nanos), follow_symlinks=False)
                i += 1
        os.utime(self.root, ns=(0, 1_500_000_000 * 10**9))


def tree(root):
    t = Tree(root)
    for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537):
        t.put(f'sizes/text-{size}', text(size, size))
        t.put(f'sizes/noise-{size}', noise(size, size))
    t.put('data/text', text(1, 600_000))
    t.put('data/noise', noise(2, 150_001))
    t.put('data/zeros', bytes(1 << 20))
    t.put('data/mixed', noise(3, 3000) + bytes(70_000) + text(4, 50_345) + noise(5, 20_700) + b'ab' * 40_000 + text(6, 999))
    t.put('data/runs', b''.join(bytes([i % 251]) * (i * 37 % 5000) for i in range(120)))
    t.put('data/sparse', b'')
    with open(t.at('data/sparse'), 'r+b') as f:
        for at, piece in ((0, text(7, 4096)), (200_000, noise(8, 5000)), (524_288, text(9, 70_000))):
            f.seek(at)
            f.write(piece)
        f.truncate(1_000_000)
    t.put('data/hole', b'')
    os.truncate(t.at('data/hole'), 300_000)
    long = text(10, 90_000)
    t.put('dup/a', long)
    t.put('dup/same', long)
    t.put('dup/shifted', text(11, 3000) + long[2000:60_000] + text(12, 2000))
    t.put('dup/head', long[:50_000])
    t.put('dup/tail', noise(13, 300) + long[20_000:])
    for i in range(12):
        t.put(f'dup/tails/{i:02}', text(20 + i, 4096 * (i % 3)) + text(14, 1500))

    t.put('mode/setuid', b'#!', 0o4755)
    t.put('mode/setgid', b'#!', 0o2711)
    t.put('mode/none', b'secret', 0)
    t.dir('mode/sticky', 0o1777)
    t.put('mode/owner', text(30, 5000))
    os.chown(t.at('mode/owner'), 70_000, 80_000)
    t.put('mode/largest', b'')
    os.chown(t.at('mode/largest'), 0xfffffffe, 0xfffffffe)
    t.symlink('mode/link', 'owner')
    os.chown(t.at('mode/link'), 12, 34, follow_symlinks=False)

    t.node('special/null', stat.S_IFCHR | 0o666, 1, 3)
    t.node('special/large', stat.S_IFBLK | 0o660, 259, 70_000)
    t.node('special/fifo', stat.S_IFIFO | 0o600)
    with socket.socket(socket.AF_UNIX) as s:
        cwd = os.getcwd()
        os.chdir(t.at('special'))  # names of sockets are short
        s.bind('socket')
        os.chdir(cwd)
    t.symlink('special/one', 'x')
    t.symlink('special/loop', 'loop')
    t.symlink('special/up', '../data/./text')
    t.symlink('special/long', '/' + 'very/' * 400 + 'long')
    t.symlink('special/longest', 'y' * 4095)
    t.link('special/fifo.link', 'special/fifo')
    t.link('special/one.link', 'special/one')
    t.link('data/noise.link', 'data/noise')
    t.link('text.link', 'data/text')

    t.put('deep/' + 'd/' * 200 + 'file', b'deep')
    t.put('deep/' + ('n' * 254 + '/') * 10 + 'file', b'a long way down')
    names(t, 400)
    t.dir('empty')
    for raw in (b'caf\xc3\xa9', b'caf\xe9', b'new\nline', b'back\\slash', b'"quote\'', b'\xff', b'\xf0\x9f\x93\x96', b'\xef\xbf\xbd',
                b'\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e', b'\xed\xa0\x80', b'!', b'-dash', b'...', b' ', b'\x01', b'n' * 255, b'\xc3\xa9' * 127):
        t.put(b'names/' + raw, raw)

    opaque = {'user.colour': b'green', 'trusted.overlay.opaque': b'y'}
    for i in range(6):
        t.put(f'xattr/shared-{i}', b'shared', xattrs=opaque)
    t.dir('xattr/shared-dir', xattrs=opaque)
    t.put('xattr/own', b'own', xattrs={'user.empty': b'', 'user.binary': bytes(range(256)), 'security.capability': CAPABILITY,
                                       'security.made-up': b'\0', 'trusted.own': text(40, 100), 'user.' + 'n' * 250: b'long name'})
    t.put('xattr/large', text(41, 5000), xattrs={'user.large': noise(42, 3500)})
    t.put('xattr/many', b'', xattrs={f'user.many-{i:02}': str(i).encode() for i in range(60)})
    t.put('xattr/prefix', b'prefix', xattrs={'user.foliolab.long.prefix.one': b'1', 'user.foliolab.long.prefix.': b'bare',
                                             'trusted.foliolab.two': b'2'})
    t.put('xattr/acl', b'acl', xattrs={'system.posix_acl_access': ACL, 'user.acl': b'1'})
    t.dir('xattr/acl-dir', xattrs={'system.posix_acl_access': ACL, 'system.posix_acl_default': ACL})
    t.symlink('xattr/symlink', 'own')
    t.mark('xattr/symlink', {'trusted.on': b'a symlink'})
    t.node('xattr/device', stat.S_IFCHR | 0o600)  # 0, 0: overlayfs's whiteout
    t.mark('xattr/device', {'trusted.on': b'a device'})
    t.mark('', {'trusted.on': b'the root'})
    t.settle()


def names(t, count):
    """A folder of many names, of an inode for every 40."""
    at = lambda i: f'wide/{"w" * (i % 23)}{i:05}'
    for i in range(count):
        if i % 40:
            t.link(at(i), at(i - i % 40))
        else:
            t.put(at(i), str(i).encode() if i % 80 else b'')


def wide(root):
    t = Tree(root)
    names(t, 10_000)
    for i in range(64):
        t.put(f'{i}/{i}', str(i).encode())
    t.settle()


def layers(base, upper, merged):
    """Two trees of an image each, and the tree that mkfs.erofs makes of the two."""
    for root in (base, merged):
        t = Tree(root)
        t.put('kept', text(50, 30_000), xattrs={'user.layer': b'base'})
        t.put('etc/config', b'base')
        t.put('etc/tail', text(51, 4096 + 100))
        t.put('data/noise', noise(52, 70_000))
        t.put('data/zeros', bytes(40_000))
        t.link('data/noise.link', 'data/noise')
        t.symlink('data/symlink', 'noise')
        t.node('data/fifo', stat.S_IFIFO | 0o600)
        t.put('data/empty')
        for i in range(300):
            t.put(f'wide/base-{i:03}', b'' if i % 10 else str(i).encode())
        t.settle()
    for root in (upper, merged):
        t = Tree(root)
        if root == merged:
            os.unlink(t.at('etc/config'))
        t.put('etc/config', text(53, 9000), 0o600, {'user.layer': b'upper', 'trusted.layer': b'upper'})
        t.put('opt/new', text(54, 20_000))
        t.link('opt/new.link', 'opt/new')
        t.put('wide/upper', b'upper')
        t.settle()
    # Two settled trees give one file two times; all images of layers have a fixed one.


if __name__ == '__main__':
    tree(sys.argv[1])
