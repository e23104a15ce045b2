import { once } from 'node:events';
import { Command } from 'commander';
import {
  checkImageFile,
  compareNames,
  DataBudget,
  type Extent,
  extractImage,
  Image,
  type Inode,
  MetadataBudget,
  nameBytes,
  printableName,
} from '../erofs/index.ts';
import { type BoundFlags, boundsOf, size, whole, withBounds } from './numbers.ts';

interface Flags extends BoundFlags {
  json?: boolean;
  long?: boolean;
  device?: string[];
  output?: string;
  offset?: string;
  jobs?: string;
}

/** `image`: what is in an EROFS image. */
export function imageCommand(): Command {
  const image = new Command('image').description('look into an EROFS image');
  image
    .command('info')
    .description('superblock, features, devices, counts')
    .argument('<image>', 'EROFS image')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('--json', 'print foliolab.image.info/1')
    .action((img: string, flags: Flags) => withImage(img, flags, (i) => info(i, flags)));
  image
    .command('ls')
    .description('the tree below PATH, one line per name')
    .argument('<image>', 'EROFS image')
    .argument('[path]', 'where to start', '/')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('-l, --long', 'mode, links, owner, size, time, nid and layout too')
    .option('--json', 'print foliolab.image.ls/1')
    .action((img: string, path: string, flags: Flags) => withImage(img, flags, (i) => ls(i, path, flags)));
  image
    .command('cat')
    .description('the bytes of a file (symlinks are followed)')
    .argument('<image>', 'EROFS image')
    .argument('<path>', 'path in the image')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .action((img: string, path: string, flags: Flags) => withImage(img, flags, (i) => cat(i, path)));
  image
    .command('map')
    .description('where the data of a file, directory or symlink lies, in bytes')
    .argument('<image>', 'EROFS image')
    .argument('<path>', 'path in the image')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('--json', 'print foliolab.image.map/1')
    .action((img: string, path: string, flags: Flags) => withImage(img, flags, (i) => map(i, path, flags)));
  image
    .command('digest')
    .description('SHA-256 of every regular file and hard link, as sha256sum prints it, sorted by the paths’ bytes')
    .argument('<image>', 'EROFS image')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('--json', 'print foliolab.image.digest/1')
    .action((img: string, flags: Flags) => withImage(img, flags, (i) => digest(i, flags)));
  image
    .command('extract')
    .description('write the tree into DIR, which must be empty or not exist')
    .argument('<image>', 'EROFS image')
    .requiredOption('-o, --output <dir>', 'where to')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('--json', 'print foliolab.image.extract/1')
    .action((img: string, flags: Flags) => withImage(img, flags, (i) => extract(i, flags)));
  image
    .command('check')
    .description('decode everything; exit 1 and a line for every fault when something is wrong')
    .argument('<image>', 'EROFS image')
    .option('--device <blob...>', 'devices of the device table, in its order')
    .option('--jobs <number>', 'threads (default: as many as the image is worth, one a core at most)')
    .option('--json', 'print foliolab.image.check/1')
    .action(check);
  for (const verb of image.commands) {
    verb.option('--offset <size>', 'where in the file the image starts, as mount -o fsoffset (default: 0)');
    const decodes = ['digest', 'extract', 'check'].includes(verb.name());
    if (decodes || ['info', 'ls'].includes(verb.name())) withBounds(verb, decodes);
  }
  // The image first: --device takes every word behind it.
  for (const verb of image.commands)
    verb.usage(
      `${verb.registeredArguments.map((a) => (a.required ? `<${a.name()}>` : `[${a.name()}]`)).join(' ')} [options]`,
    );
  return image;
}

async function withImage(path: string, flags: Flags, action: (image: Image) => Promise<void>): Promise<void> {
  const image = Image.open(path, { devices: flags.device ?? [], ...offsetOf(flags), ...boundsOf(flags) });
  try {
    await action(image);
  } finally {
    image.close();
  }
}

function offsetOf({ offset }: Flags): { offset?: number } {
  return offset === undefined ? {} : { offset: size('--offset', offset) };
}

async function info(image: Image, flags: Flags): Promise<void> {
  const sb = image.superblock;
  const types: Record<string, number> = {};
  const layouts: Record<string, number> = {};
  const seen = new Set<number>();
  let names = 0;
  let dataBytes = 0;
  let fingerprints = 0;
  const fingerprintXattr = image.fingerprintXattr;
  const budget = new MetadataBudget(image);
  for (const { inode } of image.walk()) {
    names++;
    if (seen.has(inode.nid)) continue;
    seen.add(inode.nid);
    types[inode.type] = (types[inode.type] ?? 0) + 1;
    if (inode.type !== 'file') continue;
    layouts[inode.layout] = (layouts[inode.layout] ?? 0) + 1;
    dataBytes += inode.size;
    if (fingerprintXattr !== null && image.fingerprint(inode, budget) !== null) fingerprints++;
  }
  const counts = {
    names,
    inodes: seen.size,
    types: sorted(types),
    fileLayouts: sorted(layouts),
    dataBytes,
    fingerprints,
  };
  if (flags.json) {
    const superblock = { ...sb, features: undefined, devices: undefined };
    const document = {
      schema: 'foliolab.image.info/1',
      image: image.path,
      sizeBytes: image.size,
      superblock,
      features: sb.features,
      devices: sb.devices,
      fingerprintXattr,
      counts,
    };
    return write(`${JSON.stringify(document, null, 2)}\n`);
  }
  const rows: [string, string][] = [
    ['image', `${image.path}, ${image.size} bytes`],
    ['blocks', `${sb.blocks} of ${sb.blockSize} bytes`],
    ['uuid', sb.uuid],
    ['volume name', printableName(sb.volumeName) || '(none)'],
    ['made at', time(sb.buildTime, sb.fixedNsec)],
    ['checksum', sb.checksumVerified ? `0x${sb.checksum.toString(16)}, verified` : 'none'],
    ['features', sb.features.join(' ') || '(none)'],
    ['root nid', String(sb.rootNid)],
    ['metadata', `from block ${sb.metaBlkaddr}, shared xattrs from block ${sb.xattrBlkaddr}`],
    [
      'fingerprints',
      fingerprintXattr === null ? '(none)' : `${fingerprints} files, in ${printableName(fingerprintXattr)}`,
    ],
    ['inodes', `${seen.size} (superblock says ${sb.inos}), ${names} names`],
    ['types', pairs(counts.types)],
    ['file layouts', pairs(counts.fileLayouts)],
    ['file data', `${dataBytes} bytes`],
  ];
  if (Object.keys(layouts).some((l) => l.startsWith('compressed'))) rows.push(['algorithms', sb.algorithms.join(' ')]);
  if (sb.packedNid > 0) rows.push(['packed inode', `nid ${sb.packedNid}`]);
  if (sb.metaboxNid >= 0) rows.push(['metabox', `nid ${sb.metaboxNid}`]);
  sb.devices.forEach((d, i) => {
    const mapped = d.mappedBlkaddr ? `, mapped at block ${d.mappedBlkaddr}` : '';
    rows.push([`device ${i + 1}`, `${d.blocks} blocks${mapped}, tag ${printableName(d.tag) || '(none)'}`]);
  });
  return write(rows.map(([k, v]) => `${k.padEnd(13)} ${v}\n`).join(''));
}

async function ls(image: Image, from: string, flags: Flags): Promise<void> {
  const path = `/${from.split('/').filter(Boolean).join('/')}`;
  const out = new Lines();
  if (flags.json) await out.add(`{"schema":"foliolab.image.ls/1","image":${JSON.stringify(image.path)},"entries":[`);
  let first = true;
  const budget = new MetadataBudget(image);
  for (const entry of image.walk({ path, inode: image.lookup(from) })) {
    const { inode } = entry;
    const target = inode.type === 'symlink' && (flags.json || flags.long) ? image.readlink(inode) : null;
    if (flags.json) {
      const { nid, type, mode, uid, gid, size, nlink, mtime, mtimeNsec, layout, rdev } = inode;
      const fingerprint = fingerprintString(image.fingerprint(inode, budget));
      const head = { path: entry.path, type, mode, uid, gid, size, nlink, nid, mtime, mtimeNsec, layout, fingerprint };
      const extra = { ...(target === null ? {} : { target }), ...(rdev === null ? {} : { rdev }) };
      await out.add(`${first ? '' : ','}\n${JSON.stringify({ ...head, ...extra })}`);
    } else if (flags.long) {
      await out.add(longLine(entry.path, inode, target));
    } else {
      await out.add(`${printableName(entry.path)}\n`);
    }
    first = false;
  }
  if (flags.json) await out.add('\n]}\n');
  await out.flush();
}

async function cat(image: Image, path: string): Promise<void> {
  for (const chunk of image.stream(image.lookup(path, { follow: true }))) await write(chunk);
}

async function map(image: Image, path: string, flags: Flags): Promise<void> {
  const inode = image.lookup(path);
  const out = new Lines();
  if (flags.json) {
    const head = JSON.stringify({
      schema: 'foliolab.image.map/1',
      image: image.path,
      path,
      nid: inode.nid,
      layout: inode.layout,
      size: inode.size,
      blockSize: image.superblock.blockSize,
    });
    await out.add(`${head.slice(0, -1)},"extents":[`);
  } else {
    await out.add('  ext                      la        llen                      pa        plen  device  how\n');
  }
  let n = 0;
  for (const e of image.mapBlocks(inode)) {
    if (flags.json) {
      await out.add(`${n > 0 ? ',' : ''}\n${JSON.stringify(e)}`);
    } else {
      const numbers = [
        [n, 5],
        [e.la, 24],
        [e.llen, 12],
        [e.pa, 24],
        [e.plen, 12],
        [e.device, 8],
      ] as const;
      await out.add(`${numbers.map(([v, width]) => String(v).padStart(width)).join('')}  ${how(e)}\n`);
    }
    n++;
  }
  if (flags.json) await out.add('\n]}\n');
  await out.flush();
}

async function digest(image: Image, flags: Flags): Promise<void> {
  const { createHash } = await import('node:crypto');
  const files: { path: string; inode: Inode }[] = [];
  for (const entry of image.walk()) if (entry.inode.type === 'file') files.push(entry);
  files.sort((a, b) => compareNames(a.path, b.path));
  const known = new Map<number, string>();
  const out = new Lines();
  if (flags.json) await out.add(`{"schema":"foliolab.image.digest/1","image":${JSON.stringify(image.path)},"files":[`);
  let first = true;
  const budget = new DataBudget(image);
  for (const { path, inode } of files) {
    let sum = known.get(inode.nid);
    if (sum === undefined) {
      budget.take(inode.nid, inode.size);
      const hash = createHash('sha256');
      for (const chunk of image.stream(inode)) hash.update(chunk);
      sum = hash.digest('hex');
      if (inode.nlink > 1) known.set(inode.nid, sum);
    }
    if (flags.json) {
      const { size, nid } = inode;
      await out.add(`${first ? '' : ','}\n${JSON.stringify({ path, sha256: sum, size, nid })}`);
      first = false;
    } else {
      await out.add(nameBytes(sumLine(sum, path)));
    }
  }
  if (flags.json) await out.add('\n]}\n');
  await out.flush();
}

async function extract(image: Image, flags: Flags): Promise<void> {
  const dir = flags.output!;
  const warnings: string[] = [];
  const counts = extractImage(image, dir, (what) => {
    warnings.push(what);
    process.stderr.write(`foliolab: warning: ${what}\n`);
  });
  if (flags.json) {
    const document = { schema: 'foliolab.image.extract/1', image: image.path, output: dir, ...counts, warnings };
    return write(`${JSON.stringify(document, null, 2)}\n`);
  }
  const { directories, files, hardLinks, symlinks, specials, dataBytes } = counts;
  const links = `${hardLinks} hard links, ${symlinks} symlinks, ${specials} special files`;
  return write(`${dir}: ${directories} directories, ${files} files of ${dataBytes} bytes, ${links}\n`);
}

async function check(path: string, flags: Flags): Promise<void> {
  const { names, inodes, dataBytes, faults } = await checkImageFile(path, {
    devices: flags.device ?? [],
    ...offsetOf(flags),
    ...boundsOf(flags),
    ...(flags.jobs !== undefined && { jobs: whole('--jobs', flags.jobs, 1) }),
    onFault: ({ message }) => {
      if (!flags.json) process.stderr.write(`foliolab: ${message}\n`);
    },
  });
  if (faults.length > 0) process.exitCode = 1;
  if (flags.json) {
    const counts = { names, inodes, dataBytes };
    const document = { schema: 'foliolab.image.check/1', image: path, ok: faults.length === 0, counts, faults };
    return write(`${JSON.stringify(document, null, 2)}\n`);
  }
  const verdict = faults.length === 0 ? 'no fault' : `${faults.length} fault${faults.length === 1 ? '' : 's'}`;
  return write(`${path}: ${verdict} in ${inodes} inodes, ${names} names, ${dataBytes} bytes of file data\n`);
}

/** A line of sha256sum, which marks an escaped name with a backslash at the line's start. */
function sumLine(sum: string, path: string): string {
  if (!/[\\\n\r]/.test(path)) return `${sum}  ${path}\n`;
  return `\\${sum}  ${path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}\n`;
}

function longLine(path: string, inode: Inode, target: string | null): string {
  const { rdev } = inode;
  const size = rdev === null ? String(inode.size) : `${rdev.major},${rdev.minor}`;
  const columns = [
    modeString(inode),
    String(inode.nlink).padStart(3),
    String(inode.uid).padStart(5),
    String(inode.gid).padStart(5),
    size.padStart(10),
    time(inode.mtime, 0),
    String(inode.nid).padStart(7),
    inode.layout.padEnd(18),
  ];
  return `${columns.join(' ')} ${printableName(path)}${target === null ? '' : ` -> ${printableName(target)}`}\n`;
}

const TYPE_LETTERS = { file: '-', directory: 'd', symlink: 'l', chardev: 'c', blockdev: 'b', fifo: 'p', socket: 's' };

function modeString({ type, mode }: Inode): string {
  let s = TYPE_LETTERS[type];
  for (let shift = 6; shift >= 0; shift -= 3) {
    const bits = mode >> shift;
    // setuid, setgid and sticky share the x column of owner, group and others
    const special = (mode >> (9 + shift / 3)) & 1;
    const x = special ? (shift === 0 ? 't' : 's') : 'x';
    s += `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? x : special ? x.toUpperCase() : '-'}`;
  }
  return s;
}

function how(e: Extent): string {
  if (e.hole) return 'hole';
  if (e.fragment) return `fragment, at ${e.fragmentOffset} of the packed inode`;
  const words: string[] = [e.encoded && e.algorithm === 'none' ? 'plain' : e.algorithm];
  if (e.meta) words.push('inline');
  if (e.interlaced) words.push('interlaced');
  if (e.partial) words.push('partial');
  return words.join(' ');
}

/** `sha256:` and 64 hex digits for what mkfs.erofs writes; anything else as `hex:` and its bytes */
function fingerprintString(value: Uint8Array | null): string | null {
  if (value === null) return null;
  const bytes = Buffer.from(value);
  if (bytes.length === 39 && bytes.toString('latin1', 0, 7) === 'sha256:') return `sha256:${bytes.toString('hex', 7)}`;
  return `hex:${bytes.toString('hex')}`;
}

function time(seconds: number, nsec: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`;
  const iso = date.toISOString().replace('.000Z', '');
  return nsec ? `${iso}.${String(nsec).padStart(9, '0')}Z` : `${iso}Z`;
}

function sorted(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => compareNames(a, b)));
}

function pairs(counts: Record<string, number>): string {
  return (
    Object.entries(counts)
      .map(([name, n]) => `${n} ${name}`)
      .join(', ') || '(none)'
  );
}

/** Gathers small writes, so that a line isn't a system call. */
class Lines {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  async add(line: string | Uint8Array): Promise<void> {
    const bytes = typeof line === 'string' ? Buffer.from(line) : line;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= 1 << 16) await this.flush();
  }

  async flush(): Promise<void> {
    const all = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    if (all.length > 0) await write(all);
  }
}

/** Writes to stdout and waits when it is full; a reader that has gone away ends the program as `head` would have it. */
async function write(bytes: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
}
