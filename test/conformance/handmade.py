"""Images that no mkfs.erofs writes, made of some that it wrote, or of several files; that they are right is the kernel's word."""
import os, re, struct, subprocess

SUPER = 1024
SB_CHKSUM, SHARED_EA_IN_METABOX = 0x01, 0x08  # feature_compat
ZERO_PADDING, COMPR_HEAD2 = 0x01, 0x08  # feature_incompat
COMPRESSED_FULL = 1
HEAD1, HEAD2 = 1, 3


def ask(dump, *args):
    return subprocess.run([dump, *args], capture_output=True, check=True).stdout


class Image:
    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as f:
            self.bytes = bytearray(f.read())
        self.block = 1 << self.get('B', SUPER + 12)

    def get(self, form, at):
        return struct.unpack_from('<' + form, self.bytes, at)[0]

    def put(self, form, at, value):
        struct.pack_into('<' + form, self.bytes, at, value)

    def append(self, data):
        """@returns the block it starts at"""
        at = len(self.bytes) // self.block
        self.bytes += data + bytes(-len(data) % self.block)
        return at

    def inode(self, nid):
        return self.get('I', SUPER + 40) * self.block + nid * 32

    def write(self):
        self.put('I', SUPER + 36, len(self.bytes) // self.block)
        self.put('I', SUPER + 8, self.get('I', SUPER + 8) & ~SB_CHKSUM)
        with open(self.path, 'wb') as f:
            f.write(self.bytes)


def shared_xattrs_in_metabox(path, dump):
    """The metabox becomes a plain file: what it held, and behind that the shared xattrs, which go from where they were."""
    image = Image(path)
    nid = image.get('Q', SUPER + 128)
    box = ask(dump, '--cat', f'--nid={nid}', path)
    box += bytes(-len(box) % image.block)
    inode = image.inode(nid)
    # mkfs.erofs puts shared xattrs behind the compression configurations, before the first inode.
    start = SUPER + 128 + 16 * image.get('B', SUPER + 13)
    for _ in range(image.get('H', SUPER + 84).bit_count()):
        start += 2 + image.get('H', start)
    start += -start % 4
    assert image.get('I', SUPER + 44) == 0 and any(image.bytes[start:inode]), 'shared xattrs in the first block'
    shared = bytes(start) + image.bytes[start:inode]
    image.bytes[start:inode] = bytes(inode - start)

    plain = image.bytes[inode:inode + 32]
    struct.pack_into('<HH', plain, 0, 0, 0)  # compact, flat-plain, no xattrs of its own
    struct.pack_into('<I', plain, 8, len(box) + len(shared))
    struct.pack_into('<I', plain, 16, image.append(box + shared))
    image.put('Q', SUPER + 128, image.append(plain) * image.block // 32)
    image.put('I', SUPER + 44, len(box) // image.block)
    image.put('I', SUPER + 8, image.get('I', SUPER + 8) | SHARED_EA_IN_METABOX)
    image.write()


def head2(path, dump, names=('mixed', 'runs', 'sparse', 'zeros')):
    """Files of algorithm A that is not LZ4: HEAD1 becomes LZ4 and HEAD2 A, and so do their lclusters' types."""
    image = Image(path)
    done = 0
    for name in names:
        said = ask(dump, f'--path=/data/{name}', path).decode()
        inode = image.inode(int(re.search(r'NID: (\d+)', said)[1]))
        form, xattrs = image.get('H', inode), image.get('H', inode + 2)
        assert form >> 1 & 7 == COMPRESSED_FULL
        header = inode + (64 if form & 1 else 32) + (12 + 4 * (xattrs - 1) if xattrs else 0)
        header += -header % 8
        algorithm = image.get('B', header + 6)
        assert 0 < algorithm < 16, 'one algorithm, not LZ4'
        image.put('B', header + 6, algorithm << 4)
        for i in range(-(-image.get('I', inode + 8) // image.block)):
            lcluster = header + 16 + 8 * i
            advise = image.get('H', lcluster)
            if advise & 3 == HEAD1:
                image.put('H', lcluster, advise | HEAD2)
                done += 1
    assert done > 0
    image.put('I', SUPER + 80, image.get('I', SUPER + 80) | COMPR_HEAD2)
    image.write()


def without_padding(path, dump, paths):
    """LZ4 data goes from the end of its block to the start, as mkfs.erofs before 1.0 had it. @param paths all files"""
    image = Image(path)
    done = set()
    for name in paths:
        said = ask(dump, os.fsencode(f'--path={name}'), path).decode('utf-8', 'replace')
        inode = image.inode(int(re.search(r'NID: (\d+)', said)[1]))
        form, xattrs = image.get('H', inode), image.get('H', inode + 2)
        if form >> 1 & 7 != COMPRESSED_FULL:
            continue
        header = inode + (64 if form & 1 else 32) + (12 + 4 * (xattrs - 1) if xattrs else 0)
        header += -header % 8
        assert image.get('H', header + 4) == 0, 'one block a pcluster'
        for i in range(-(-image.get('I', inode + 8) // image.block)):
            lcluster = header + 16 + 8 * i
            at = image.get('I', lcluster + 4) * image.block
            if image.get('H', lcluster) & 3 == HEAD1 and at not in done:
                done.add(at)
                data = image.bytes[at:at + image.block].lstrip(b'\0')
                image.bytes[at:at + image.block] = data + bytes(image.block - len(data))
    assert done
    image.put('I', SUPER + 80, image.get('I', SUPER + 80) & ~ZERO_PADDING)
    image.write()


def wide_records(path, dump, names):
    """Extent records of 16 bytes become ones of 32: the inode goes to the end of the image, and its names after it."""
    image = Image(path)
    for name in names:
        said = ask(dump, f'--path=/data/{name}', path).decode()
        nid = int(re.search(r'NID: (\d+)', said)[1])
        inode = image.inode(nid)
        form, xattrs = image.get('H', inode), image.get('H', inode + 2)
        end = (64 if form & 1 else 32) + (12 + 4 * (xattrs - 1) if xattrs else 0)
        end += -end % 8
        count, advise = image.get('I', inode + end), image.get('H', inode + end + 4)
        assert form >> 1 & 7 == COMPRESSED_FULL and advise & 7 == 5, 'records of 16 bytes'
        records = inode + end + 8
        records += -records % 16
        moved = image.bytes[inode:inode + end + 8]
        struct.pack_into('<H', moved, end + 4, advise | 6)
        moved += bytes(-len(moved) % 32)
        for i in range(count):
            moved += image.bytes[records + 16 * i:records + 16 * i + 16] + bytes(16)
        block = image.append(moved)
        to = struct.pack('<Q', (block - image.get('I', SUPER + 40)) * image.block // 32)
        name_of = re.escape(struct.pack('<Q', nid)) + rb'(..\x01\x00)'
        changed, names_changed = re.subn(name_of, lambda m: to + m[1], image.bytes, flags=re.S)
        assert names_changed > 0
        image.bytes = bytearray(changed)
    image.write()


def join(image, files):
    """Puts devices where their slots say that they are in the image's address space (uniaddr)."""
    with open(image, 'r+b') as f:
        head = f.read(4096)
        block, slots = 1 << head[1024 + 12], struct.unpack_from('<H', head, 1024 + 88)[0]
        for i, name in enumerate(files):
            f.seek((slots + i) * 128 + 68)
            at = struct.unpack('<I', f.read(4))[0]
            assert at > 0
            with open(name, 'rb') as device:
                f.seek(at * block)
                f.write(device.read())
        f.truncate(f.tell() + -f.tell() % block)
