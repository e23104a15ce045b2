#!/usr/bin/env python3
"""Encodes the source trees in every way mkfs.erofs has, and records what everyone else makes of each image.

    images.py --list            the images, as JSON
    images.py OUT [NAME…]       makes them, two at a time, below OUT

OUT/TREE.json, OUT/fsck/NAME.json and OUT/kernel/NAME.json are describe.py's rows, of the source trees, of what fsck.erofs
extracted and of the kernel's mount (mounts.py); OUT/made.json has per image its files, the extents that dump.erofs prints,
and what was said. mkfs.erofs comes in the versions of Debian 12 (in PATH), 13 and sid ($FOLIOLAB_EROFS_UTILS/trixie/bin and
$FOLIOLAB_EROFS_UTILS/bin: scripts/erofs-utils.sh); fsck.erofs and dump.erofs are sid's for all. Root is needed.
"""
import concurrent.futures, json, os, re, shlex, shutil, subprocess, sys

sys.dont_write_bytecode = True
import handmade, trees
from describe import describe, write

here = os.path.dirname(os.path.abspath(__file__))
UTILS = os.environ.get('FOLIOLAB_EROFS_UTILS', '')
BOOKWORM, TRIXIE, SID = '', f'{UTILS}/trixie/bin/', f'{UTILS}/bin/'
FIXED = '-T1000000000'  # every inode gets this time, and is compact if it can be

P1, P2 = '--xattr-prefix=user.foliolab.long.prefix.', '--xattr-prefix=trusted.foliolab.'
PREFIXES = f'{P1} {P2}'
# Pcluster size, algorithm, pattern of paths without the first slash. mkfs.erofs 1.9.4 dies (SIGSEGV) of an algorithm here, 1.5 knows none.
HINTS = {
    'sizes': '65536 data/.*\n4096 dup/.*\n16384 sizes/.*\n',
    'lzma': '4096 1 data/.*\n',
    'algorithms': '65536 1 data/.*\n16384 2 dup/.*\n4096 0 sizes/.*\n32768 2 text.link\n',
}

# name: (mkfs.erofs, options, and what else is to know of it)
#   tree     what it holds, when that is not `tree` (and not `untarred`, of a tarball)
#   source   what mkfs.erofs reads, when that is no folder: `tar`, or images of layers (LAYERS)
#   files    its devices behind the first, in their order
#   joined   whether the devices are put behind the image, in one file: it is mounted without devices then
#   digest   the xattr that has fingerprints
#   without  paths of the tree that it hasn't
#   handmade the function of handmade.py that changes what mkfs.erofs wrote
#   owner    uid and gid of everything
#   refused  what Linux says instead of showing it
IMAGES = {}


def image(name, mkfs, options='', **more):
    assert name not in IMAGES, name
    IMAGES[name] = (mkfs, options, more)


def bookworm():
    without = ['/names/' + 'n' * 255]  # 1.5 has no room for names this long
    def add(name, options='', **more):
        image(f'bookworm-{name}', BOOKWORM, options, without=without, **more)
    add('default')
    add('compact', FIXED)
    add('force-compact', f'{FIXED} -Eforce-inode-compact --force-uid=1000 --force-gid=1000', owner=[1000, 1000])
    add('noinline', '-Enoinline_data -x1')
    add('extended', f'{FIXED} -Eforce-inode-extended -x100')
    add('chunk-map', '--chunksize=4096 -Eforce-inode-blockmap')
    add('chunk-indexes', '--chunksize=16384 -Eforce-chunk-indexes')
    add('chunk-1m', f'{FIXED} --chunksize=1048576')
    add('blob', '--chunksize=4096 --blobdev=BLOB', files=['BLOB'])
    add('lz4', '-zlz4')
    add('lz4hc', f'{FIXED} -zlz4hc,12')
    add('lz4-legacy', f'{FIXED} -zlz4hc -Elegacy-compress')
    add('lz4-64k', f'{FIXED} -zlz4hc -C65536')
    add('lz4-1m', '-zlz4hc -C1048576')
    add('lz4-extent-8k', f'{FIXED} -zlz4hc --max-extent-bytes=8192')
    add('ztailpacking', f'{FIXED} -zlz4hc -Eztailpacking')
    add('ztailpacking-32k', '-zlz4hc -C32768 -Eztailpacking')
    add('fragments', f'{FIXED} -zlz4hc -C32768 -Efragments')
    add('dedupe', f'{FIXED} -zlz4hc -Ededupe')
    add('wide', FIXED, tree='wide')
    add('wide-lz4', '-zlz4 -Eztailpacking', tree='wide')
    add('hints', f'{FIXED} -zlz4hc -C65536 --compress-hints=HINTS', hints='sizes')


def trixie():
    def add(name, options='', **more):
        image(f'trixie-{name}', TRIXIE, options, **more)
    add('default')
    add('mixed', f'{FIXED} -zlz4hc:lzma:zstd -C65536 --compress-hints=HINTS', hints='algorithms')
    add('mixed-deflate', '-zzstd:deflate:lz4 -C65536 -Eztailpacking --compress-hints=HINTS', hints='algorithms')
    add('mixed-fragments', f'{FIXED} -zlzma:lz4hc:zstd -C65536 -Efragments,dedupe --compress-hints=HINTS', hints='algorithms')
    add('all-fragments', f'{FIXED} -zzstd -C32768 -Eall-fragments')
    add('b512-lz4', f'{FIXED} -b512 -zlz4hc -C8192 -Eztailpacking')
    add('tar', '--tar=f -zlz4hc -C16384', source='tar')
    add('handmade-head2', f'{FIXED} -zlz4hc:lzma -Elegacy-compress --compress-hints=HINTS', hints='lzma', handmade='head2')


def sid():
    add = lambda name, options='', **more: image(name, SID, options, **more)
    add('default')
    add('compact', FIXED)
    add('force-compact', f'{FIXED} -Eforce-inode-compact --force-uid=1000 --force-gid=1000', owner=[1000, 1000])
    add('mkfs-time', f'{FIXED} --mkfs-time')
    add('ignore-mtime', f'{FIXED} --mkfs-time --ignore-mtime')
    add('extended', f'{FIXED} -Eforce-inode-extended')
    add('noinline', '-E^inline_data')
    add('dot-omitted', f'{FIXED} -Edot-omitted')
    add('nosbcrc', '-Enosbcrc')
    for bits in (9, 10, 11):
        add(f'b{1 << bits}', f'{FIXED} -b{1 << bits}')
        add(f'b{1 << bits}-lz4', f'-b{1 << bits} -zlz4hc -C{8 << bits}')
    add('b512-chunks', f'{FIXED} -b512 --chunksize=512')
    add('b512-metabox', f'{FIXED} -b512 -zlz4hc -E48bit -m512')
    add('b1024-zstd-fragments', f'{FIXED} -b1024 -zzstd -C8192 -Efragments,ztailpacking')
    add('metazone-i', f'{FIXED} --MZ=i')
    add('metazone-id', '--MZ=id -zlz4')
    add('dsunit', f'{FIXED} --dsunit=8')

    add('xattr-none', '-x-1', xattrs=False)
    add('xattr-inline', f'{FIXED} -x10000')
    add('xattr-shared', f'{FIXED} -x1')
    add('xattr-all-shared', '-x0')
    add('xattr-nofilter', f'{FIXED} -E^xattr-name-filter -x1')
    add('xattr-prefixes', f'{FIXED} {PREFIXES}')
    add('xattr-prefixes-shared', f'-x1 -Eplain-xattr-prefixes {PREFIXES} --root-xattr-isize=512')
    add('xattr-prefixes-packed', f'{FIXED} -zlz4 -Efragments {PREFIXES}')
    add('xattr-prefixes-packed-shared', f'-zzstd -x1 -Eall-fragments {PREFIXES}')
    add('digest', f'{FIXED} --xattr-inode-digest=trusted.erofs.fingerprint', digest='trusted.erofs.fingerprint')
    add('digest-lz4', f'-zlz4hc -Efragments --xattr-inode-digest=user.digest {P1}', digest='user.digest')

    add('chunk-map', f'{FIXED} --chunksize=4096 -Eforce-inode-blockmap')
    add('chunk-indexes', '--chunksize=16384 -Eforce-chunk-indexes')
    add('chunk-8k', f'{FIXED} --chunksize=8192')
    add('chunk-48bit', f'{FIXED} --chunksize=4096 -E48bit')
    add('chunk-48bit-indexes', '--chunksize=65536 -E48bit,force-chunk-indexes')
    add('chunk-metabox', f'{FIXED} --chunksize=4096 -E48bit -m4096:lz4')
    add('dedupe-chunks', f'{FIXED} -Ededupe')
    add('blob', f'{FIXED} --chunksize=65536 --blobdev=BLOB', files=['BLOB'])
    add('blob-48bit', '--chunksize=4096 -E48bit --blobdev=BLOB', files=['BLOB'])
    add('flattened', f'{FIXED} --chunksize=16384 --blobdev=BLOB', files=['BLOB'], joined=True)
    add('flattened-48bit', '--chunksize=4096 -E48bit --blobdev=BLOB', files=['BLOB'], joined=True)

    add('lz4', f'{FIXED} -zlz4')
    add('lz4hc', '-zlz4hc,12')
    add('lz4-legacy', f'{FIXED} -zlz4 -Elegacy-compress')
    add('lz4-legacy-64k', '-zlz4hc -C65536 -Elegacy-compress')
    for k in (8, 16, 64, 256, 1024):
        add(f'lz4hc-{k}k', f'{FIXED} -zlz4hc -C{k << 10}')
    add('lz4-extent-4k', f'{FIXED} -zlz4hc --max-extent-bytes=4096')
    add('lz4-hints', f'{FIXED} -zlz4hc -C65536 --compress-hints=HINTS', hints='sizes')
    add('lz4-ztailpacking', f'{FIXED} -zlz4hc -Eztailpacking')
    add('lz4-ztailpacking-16k', '-zlz4hc -C16384 -Eztailpacking,^inline_data')
    add('lz4-interlaced', f'{FIXED} -zlz4 -Efragments')
    add('lz4-fragments', f'{FIXED} -zlz4hc -C32768 -Efragments')
    add('lz4-fragments-4k', '-zlz4hc -C32768 -Efragments=4096')
    add('lz4-all-fragments', f'{FIXED} -zlz4hc -C32768 -Eall-fragments')
    add('lz4-fragdedupe-full', f'{FIXED} -zlz4hc -C32768 -Eall-fragments,fragdedupe=full')
    add('lz4-fragdedupe-inode', f'{FIXED} -zlz4hc -C32768 -Eall-fragments,fragdedupe=inode')
    add('lz4-fragdedupe-none', '-zlz4hc -C32768 -Efragments,^fragdedupe')
    add('lz4-ztailpacking-fragments', f'{FIXED} -zlz4hc -Eztailpacking,fragments')
    add('lz4-dedupe', f'{FIXED} -zlz4hc -C8192 -Ededupe')
    add('lz4-everything', f'{FIXED} -zlz4hc -C16384 -Eztailpacking,dedupe,fragments --zD {PREFIXES} -x1')
    add('lz4-directories', f'{FIXED} -zlz4hc --zD')

    add('lzma', f'{FIXED} -zlzma -C65536')
    add('lzma-options', '-zlzma,level=1,dictsize=65536,lc=4,lp=0,pb=4 -C16384 -Eztailpacking')
    add('lzma-lp', f'{FIXED} -zlzma,level=0,lc=0,lp=4,pb=0 -C1048576 -Efragments')
    add('lzma-dedupe', f'{FIXED} -zlzma,level=1 -C32768 -Ededupe')
    add('deflate', f'{FIXED} -zdeflate -C16384')
    add('deflate-window', '-zdeflate,level=9,dictsize=1024 -C4096 -Eztailpacking')
    add('deflate-dedupe', f'{FIXED} -zdeflate -C32768 -Ededupe,fragments')
    add('libdeflate', f'{FIXED} -zlibdeflate,level=9 -C65536 -Eall-fragments')
    add('zstd', f'{FIXED} -zzstd -C16384')
    add('zstd-19', '-zzstd,level=19,dictsize=65536 -C65536 -Eztailpacking')
    add('zstd-1m', f'{FIXED} -zzstd,level=1 -C1048576')
    add('zstd-dedupe', f'{FIXED} -zzstd -C8192 -Ededupe,fragments')
    add('zstd-directories', f'{FIXED} -zzstd -C8192 --zD')

    add('48bit', f'{FIXED} -E48bit')
    add('48bit-mtime', '-E48bit')
    add('48bit-lz4', f'{FIXED} -zlz4hc -E48bit')
    add('48bit-lz4-16k', '-zlz4hc -C16384 -E48bit')
    add('48bit-zstd', f'{FIXED} -zzstd -C65536 -E48bit')
    add('48bit-zstd-fixed', f'{FIXED} -zzstd -C4096 -E48bit --max-extent-bytes=4096')
    add('48bit-deflate-fixed-dedupe', f'{FIXED} -zdeflate -C4096 -E48bit,dedupe --max-extent-bytes=4096')
    add('48bit-lzma-dedupe', '-zlzma,level=1 -C16384 -E48bit,dedupe')
    add('48bit-fragments', f'{FIXED} -zdeflate -C8192 -E48bit,fragments')
    add('48bit-ztailpacking', f'{FIXED} -zzstd -C8192 -E48bit,ztailpacking')
    add('48bit-directories', f'{FIXED} -zzstd -C8192 -E48bit --zD')

    add('metabox', f'{FIXED} -zlz4hc -E48bit -m4096')
    add('metabox-plain', '-E48bit -m4096:lz4 -x1')
    add('metabox-zstd', f'{FIXED} -zlz4hc -C16384 -E48bit -m16384:zstd -x1 {PREFIXES}')
    add('metabox-prefixes-plain', f'{FIXED} -zlz4hc -E48bit,plain-xattr-prefixes -m4096 -x1 {PREFIXES}')
    add('metabox-fragments', f'-zzstd -C65536 -E48bit,all-fragments -m65536:zstd {PREFIXES}')
    add('metabox-ztailpacking', f'{FIXED} -zdeflate -E48bit,ztailpacking -m4096')
    add('metabox-directories', f'{FIXED} -zdeflate -E48bit --zD -m4096')
    add('metabox-handmade-shared', f'{FIXED} -zlz4hc -E48bit -m4096:zstd -x1 {PREFIXES}', handmade='shared_xattrs_in_metabox')
    # Damaged by mkfs.erofs 1.9.4; Linux logs: bogus i_mode (0) @ nid 9223372036854775936
    add('metabox-metazone', f'{FIXED} -zlz4hc -E48bit -m4096 --MZ=id', refused='wide: Structure needs cleaning')

    add('tar', '--tar=f', source='tar')
    add('tar-unsorted', '--tar=f --sort=none -E^inline_data', source='tar')
    add('tar-zstd', f'{FIXED} --tar=f -zzstd -C16384 -Efragments', source='tar')
    add('tar-gz', '--tar=f --ungzip -zlz4', source='tar.gz')
    add('tar-index', '--tar=i', source='tar', files=['TAR'])
    add('tar-index-48bit', '--tar=i -E48bit', source='tar', files=['TAR'])

    wide = {'tree': 'wide'}
    add('wide', FIXED, **wide)
    add('wide-b512', f'{FIXED} -b512', **wide)
    add('wide-b1024-directories', f'{FIXED} -b1024 -zlz4hc --zD', **wide)
    add('wide-dot-omitted', f'{FIXED} -Edot-omitted', **wide)
    add('wide-metazone', f'{FIXED} --MZ=id', **wide)
    add('wide-metabox', f'{FIXED} -zlz4hc -E48bit -m4096', **wide)
    add('wide-metabox-directories', f'{FIXED} -zzstd -C65536 -E48bit --zD -m65536', **wide)
    for z in ('lz4hc', 'lzma', 'deflate', 'zstd'):
        add(f'wide-{z}', f'-z{z} -C16384 -Efragments --zD', **wide)
    add('wide-48bit-directories', f'{FIXED} -zzstd -C8192 -E48bit,all-fragments --zD', **wide)

    merged = {'tree': 'merged'}
    add('rebuild', FIXED, source='flat', files=['base.flat', 'upper.flat'], **merged)
    add('rebuild-flattened', FIXED, source='flat', files=['base.flat', 'upper.flat'], joined=True, **merged)
    add('rebuild-chunks', f'{FIXED} -b4096', source='chunks', files=['base.chunks', 'upper.chunks'], **merged)
    add('rebuild-48bit', f'{FIXED} -E48bit', source='flat', files=['base.flat', 'upper.flat'], **merged)
    add('rebuild-data', f'{FIXED} --clean=data', source='inline', **merged)
    add('rebuild-data-lz4', f'{FIXED} --clean=data -zlz4hc', source='inline', **merged)
    add('incremental', f'{FIXED} --incremental=data', source='incremental', **merged)
    add('incremental-lz4', f'{FIXED} --incremental=data -zlz4hc', source='incremental', **merged)


bookworm()
trixie()
sid()

# the images of the two layers that others are made of
LAYERS = {'flat': '-E^inline_data', 'chunks': '--chunksize=4096', 'inline': ''}


def run(argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, errors='surrogateescape', **more)


def prepare(out):
    """The trees, their descriptions, and the tarball and images that stand for them."""
    for folder in ('images', 'fsck', 'kernel', 'extracted'):
        os.makedirs(f'{out}/{folder}', exist_ok=True)
    os.umask(0o022)
    trees.tree(f'{out}/tree')
    trees.wide(f'{out}/wide')
    trees.layers(f'{out}/base', f'{out}/upper', f'{out}/merged')
    tar = ['tar', '-C', f'{out}/tree', '--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name', '-cf', f'{out}/tree.tar', '.']
    r = run(tar)
    assert r.returncode == 0, r.stderr
    subprocess.run(['gzip', '-1kn', f'{out}/tree.tar'], check=True)
    # What a tarball is worth is what tar makes of it: no sockets, and a link to a fifo is another fifo.
    os.mkdir(f'{out}/untarred')
    subprocess.run(['tar', '-C', f'{out}/untarred', '--xattrs', '--xattrs-include=*', '--warning=no-timestamp', '-xpf', f'{out}/tree.tar'], check=True)
    for name in ('tree', 'wide', 'merged', 'untarred'):
        write(describe(f'{out}/{name}'), f'{out}/{name}.json')
    for kind, options in LAYERS.items():
        for layer in ('base', 'upper'):
            mkfs(SID, f'{FIXED} {options}', [f'{out}/{layer}.{kind}', f'{out}/{layer}'])


def mkfs(tools, options, files):
    argv = [f'{tools}mkfs.erofs', '-U00000000-0000-4000-8000-00000000f011', *shlex.split(options), *files]
    r = run(argv)
    if r.returncode:
        said = [line for line in (r.stdout + r.stderr).splitlines() if '<E>' in line]
        raise RuntimeError(f'{shlex.join(argv)}: status {r.returncode}: {said}')


def make(out, name):
    """Makes one image and asks fsck.erofs and dump.erofs about it."""
    tools, options, more = IMAGES[name]
    at, blob = f'{out}/images/{name}', f'{out}/images/{name}.blob'
    source = more.get('source')
    tree = tree_of(more)
    files = [{'BLOB': blob, 'TAR': f'{out}/tree.tar'}.get(f, f'{out}/{f}') for f in more.get('files', [])]
    options = options.replace('BLOB', blob)
    if 'hints' in more:
        with open(f'{at}.hints', 'w') as f:
            f.write(HINTS[more['hints']])
        options = options.replace('HINTS', f'{at}.hints')
    for path in more.get('without', []):
        if tree == 'tree':
            options += f' --exclude-path={path[1:]}'
    if source == 'incremental':
        shutil.copy(f'{out}/base.inline', at)
        sources = [f'{out}/upper']
    elif source in LAYERS:
        sources = [f'{out}/base.{source}', f'{out}/upper.{source}']
    else:
        sources = [f'{out}/tree.{source}' if source else f'{out}/{tree}']
    mkfs(tools, options, [at, *sources])
    if 'handmade' in more:
        getattr(handmade, more['handmade'])(at, f'{SID}dump.erofs')

    devices = [f'--device={f}' for f in files]
    if more.get('joined'):
        # fsck.erofs 1.9.4 doesn't look for devices behind the image: it gets them as they were.
        handmade.join(at, files)
        files = []
    extracted = f'{out}/extracted/{name}'
    fsck = run([f'{SID}fsck.erofs', f'--extract={extracted}', '--xattrs', *devices, at])
    write(describe(extracted) if os.path.isdir(extracted) else [], f'{out}/fsck/{name}.json')
    shutil.rmtree(extracted, ignore_errors=True)
    said = [l for l in (fsck.stdout + fsck.stderr).splitlines() if re.search('<[EW]>', l)]
    with open(f'{out}/{tree}.json') as f:
        rows = json.load(f)
    return {'image': at, 'devices': files, 'size': os.path.getsize(at), 'fsck': {'status': fsck.returncode, 'said': said},
            'extents': extents(at, devices, asked(rows, more))}


def tree_of(more):
    return 'untarred' if more.get('source', '').startswith('tar') else more.get('tree', 'tree')


def asked(rows, more):
    """Whose extents are compared: every inode that has data, directories of one block and most short symlinks aside."""
    out = []
    for row in rows:
        path = row['path']
        if 'link' in row or path in more.get('without', []):
            continue
        if (row['type'] == 'file' and row['size'] > 0 and not re.match(r'/wide/.*[1-9]..$|/\d+/', path)
                or path in ('/', '/wide', '/names', '/special/long', '/special/longest', '/special/one')):
            out.append(path)
    return out


def unwrapped(tools, name):
    """The command in a wrapper of scripts/erofs-utils.sh: dump.erofs runs thousands of times, in half the time without a shell."""
    with open(f'{tools}{name}') as f:
        return shlex.split(f.read().splitlines()[1])[1:-1]


EXTENT = re.compile(r'^ *\d+: *(\d+)\.\. *\d+ \| *(\d+) : *(\d+)\.\. *\d+ \| *(\d+)(?: +# device (\d+))?', re.M)


def extents(image, devices, paths):
    """la, llen, pa, plen, device as dump.erofs prints them. @returns rows by path"""
    out, dump = {}, unwrapped(SID, 'dump.erofs')
    for path in paths:
        r = run([*dump, *devices, '-e', f'--path={path}', image])
        out[path] = [[int(x or 0) for x in e] for e in EXTENT.findall(r.stdout)] if r.returncode == 0 else r.stderr
    return out


def listed():
    out = []
    for name, (tools, options, more) in IMAGES.items():
        fixed = '-T' in options and '--mkfs-time' not in options
        suite = {BOOKWORM: 'bookworm', TRIXIE: 'trixie', SID: 'sid'}[tools]
        out.append({'name': name, 'suite': suite, 'options': options, 'fixed': fixed, **more, 'tree': tree_of(more)})
    return out


def main(args):
    if args == ['--list']:
        json.dump(listed(), sys.stdout)
        return
    out, names = os.path.abspath(args[0]), args[1:] or list(IMAGES)
    prepare(out)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        made = dict(zip(names, pool.map(make, [out] * len(names), names)))
    with open(f'{out}/made.json', 'w') as f:
        json.dump(made, f)


if __name__ == '__main__':
    main(sys.argv[1:])
