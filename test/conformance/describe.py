#!/usr/bin/env python3
"""describe.py DIR: what a tree holds, as JSON: a row per name, in bytewise order of their paths.

The same program describes the source tree, the kernel's mount of an image and what fsck.erofs extracted. decoder.ts gives
the same rows for the decoder. Names and targets that are no UTF-8 have surrogates for the odd bytes (PEP 383). Of an inode
with several names the first has the row; the others say `link`, the first one's path.
"""
import hashlib, json, os, stat, sys

TYPES = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'chardev',
         stat.S_IFBLK: 'blockdev', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket'}


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def describe(root):
    paths = [b'/']
    for folder, dirs, files in os.walk(os.fsencode(root), onerror=fail):
        below = folder[len(os.fsencode(root)):] + b'/'
        paths += [below + name for name in dirs + files]
    rows, first = [], {}
    for path in sorted(paths):
        at = os.fsencode(root) + path
        st = os.lstat(at)
        name = os.fsdecode(path)
        if not stat.S_ISDIR(st.st_mode) and first.setdefault(st.st_ino, name) != name:
            rows.append({'path': name, 'link': first[st.st_ino]})
            continue
        seconds, nanos = divmod(st.st_mtime_ns, 10**9)
        row = {'path': name, 'type': TYPES[stat.S_IFMT(st.st_mode)], 'mode': st.st_mode, 'uid': st.st_uid, 'gid': st.st_gid,
               'nlink': st.st_nlink, 'size': st.st_size, 'mtime': [seconds, nanos], 'ino': str(st.st_ino)}
        if stat.S_ISREG(st.st_mode):
            row['sha256'] = sha256(at)
        elif stat.S_ISLNK(st.st_mode):
            row['target'] = os.fsdecode(os.readlink(at))
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            row['rdev'] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
        names = sorted(os.listxattr(at, follow_symlinks=False), key=os.fsencode)
        if names:
            row['xattrs'] = {n: os.getxattr(at, n, follow_symlinks=False).hex() for n in names}
        rows.append(row)
    return rows


def fail(error):
    raise error


def write(rows, path):
    with open(path, 'w') as f:
        json.dump(rows, f, separators=(',', ':'))


if __name__ == '__main__':
    json.dump(describe(sys.argv[1]), sys.stdout, indent=1)
