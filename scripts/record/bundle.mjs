// bundle.mjs RECORDINGS IMAGES OUT SERVICE…: what is committed of recordings that record.sh has made.
// Writes to OUT/SERVICE the traces, of each index the part that they name, recipe.md, packages.tsv and SHA256SUMS. Needs dist/ (npm run build).
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IndexBuilder } from '../../dist/replay/image-index/builder.js';
import {
  CODECS,
  EXTENT_COMPRESSED,
  EXTENT_FRAGMENT,
  EXTENT_HOLE,
  EXTENT_METABOX,
  INDEX_TOOL,
  INODE_TYPES,
} from '../../dist/replay/image-index/format.js';
import { ImageIndex } from '../../dist/replay/image-index/image-index.js';
import { ArrowTraceReader } from '../../dist/replay/trace/arrow/reader.js';
import { ArrowTraceWriter } from '../../dist/replay/trace/arrow/writer.js';
import { blankEvent, TRACE_OP_NAMES } from '../../dist/replay/trace/trace.js';

const [recordings, images, out, ...services] = process.argv.slice(2);
if (services.length === 0) {
  console.error('usage: bundle.mjs RECORDINGS IMAGES OUT SERVICE…');
  process.exit(2);
}
const KINDS = ['run', 'limited'];
const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Facts, counts of events and pages by operation, and the inodes of each image that a trace names. */
async function read(path) {
  const reader = await ArrowTraceReader.open(path);
  const counts = new Map();
  for await (const batch of reader.batches())
    for (let i = 0; i < batch.rows; i++) {
      const op = TRACE_OP_NAMES[batch.op[i]];
      counts.set(op, (counts.get(op) ?? 0) + batch.pages[i]);
    }
  const inodes = new Map();
  for (const { mount, ino } of reader.files) {
    const { image } = reader.mounts[mount];
    inodes.set(image, (inodes.get(image) ?? new Set()).add(ino));
  }
  return { facts: reader.facts, mounts: reader.mounts, counts, inodes };
}

/** Times of the committed traces are multiples of this: they take half the room. */
const TIME_STEP_NS = 1024;

/** Of Zstandard: what is committed is written once. */
const LEVEL = 19;

/** Writes a trace again, with coarser times. */
async function coarsen(from, to) {
  const reader = await ArrowTraceReader.open(from);
  const writer = await ArrowTraceWriter.create(to, false, LEVEL);
  const known = { containers: 0, mounts: 0, files: 0 };
  const event = blankEvent();
  let begun = false;
  for await (const batch of reader.batches()) {
    if (!begun) writer.facts({ ...reader.facts, timeStepNs: TIME_STEP_NS });
    begun = true;
    for (; known.mounts < reader.mounts.length; known.mounts++) writer.mount(reader.mounts[known.mounts]);
    for (; known.containers < reader.containers.length; known.containers++)
      writer.container(reader.containers[known.containers]);
    for (; known.files < reader.files.length; known.files++) writer.file(reader.files[known.files]);
    for (let i = 0; i < batch.rows; i++) {
      for (const column of ['op', 'container', 'file', 'page', 'pageHigh', 'pages', 'touch', 'bytes', 'task'])
        event[column] = batch[column][i];
      event.timeNs = batch.timeNs[i] - (batch.timeNs[i] % TIME_STEP_NS);
      writer.event(event);
    }
  }
  await writer.end(reader.endFacts);
}

/** An index of some inodes of another. */
function part(path, nids) {
  const index = ImageIndex.parse(path, readFileSync(path));
  const c = index.columns;
  const builder = new IndexBuilder(path);
  const ordinals = new Map();
  for (let i = 0; i < index.header.inodes; i++) {
    if (!nids.has(c.nid[i])) continue;
    const digests = Buffer.alloc(8 * index.pagesOf(i));
    for (let word = 0; word < digests.length / 4; word++)
      digests.writeUInt32BE(c.pageDigest[2 * c.firstPage[i] + word], 4 * word);
    const extents = [];
    for (let e = c.firstExtent[i]; e < c.firstExtent[i + 1]; e++)
      extents.push({
        la: c.extentLa[e],
        llen: c.extentLlen[e],
        pa: c.extentPa[e],
        plen: c.extentPlen[e],
        device: c.extentDevice[e],
        hole: (c.extentFlags[e] & EXTENT_HOLE) !== 0,
        compressed: (c.extentFlags[e] & EXTENT_COMPRESSED) !== 0,
        fragment: (c.extentFlags[e] & EXTENT_FRAGMENT) !== 0,
        metabox: (c.extentFlags[e] & EXTENT_METABOX) !== 0,
        codec: CODECS[c.extentCodec[e]],
      });
    const fingerprint = c.fingerprints.slice(c.fingerprintAt[i], c.fingerprintAt[i + 1]);
    const ordinal = builder.addInode({
      nid: c.nid[i],
      type: INODE_TYPES[c.type[i]],
      mode: c.mode[i],
      uid: c.uid[i],
      gid: c.gid[i],
      nlink: c.nlink[i],
      sizeBytes: c.sizeBytes[i],
      mtimeSec: c.mtimeSec[i],
      mtimeNsec: c.mtimeNsec[i],
      layout: index.layoutOf(i),
      contentSha256: c.contentSha256.slice(32 * i, 32 * i + 32),
      xattrsSha256: c.xattrsSha256.slice(32 * i, 32 * i + 32),
      fingerprint: fingerprint.length > 0 ? fingerprint : null,
      pageDigests: digests,
      extents,
      segments: index.segmentsOf(i).map((s) => ({
        flags: c.segmentFlags[s],
        offset: c.segmentOffset[s],
        fileBytes: c.segmentFileBytes[s],
        address: c.segmentAddress[s],
        memoryBytes: c.segmentMemoryBytes[s],
      })),
    });
    ordinals.set(i, ordinal);
  }
  const paths = Buffer.from(c.paths);
  let from = 0;
  for (const inode of c.pathInode) {
    const to = paths.indexOf(0, from);
    if (ordinals.has(inode)) builder.addPath(paths.subarray(from, to), ordinals.get(inode));
    from = to + 1;
  }
  const { source, image, known } = index.header;
  return {
    bytes: builder.pack({ source, image, known, tool: `${INDEX_TOOL}: only the files of ${KINDS.join(' and ')}` }),
    inodes: ordinals.size,
    of: index.header.inodes,
  };
}

function packages(service) {
  const table = new Map();
  ['a', 'b'].forEach((side, at) => {
    for (const line of readFileSync(join(images, service, `${side}.packages`), 'utf8')
      .trim()
      .split('\n')) {
      const [name, version] = line.split(' ');
      const row = table.get(name) ?? ['', ''];
      row[at] = version;
      table.set(name, row);
    }
  });
  return [...table].sort(([a], [b]) => (a < b ? -1 : 1));
}

const number = (n) => n.toLocaleString('en');
for (const service of services) {
  const to = join(out, service);
  mkdirSync(to, { recursive: true });
  const traces = {};
  const inodes = new Map();
  for (const kind of KINDS) {
    const from = join(recordings, service, `${kind}.arrows`);
    traces[kind] = {
      ...(await read(from)),
      summary: JSON.parse(readFileSync(from.replace(/arrows$/, 'json'), 'utf8')),
    };
    await coarsen(from, join(to, `${kind}.arrows`));
    for (const [image, nids] of traces[kind].inodes)
      inodes.set(image, new Set([...(inodes.get(image) ?? []), ...nids]));
  }
  const indexes = ['a', 'b'].map((side) => {
    const { bytes, ...counts } = part(join(recordings, service, `${side}.fidx`), inodes.get(`${side}.erofs`));
    writeFileSync(join(to, `${side}.fidx`), bytes);
    return { side, ...counts, image: ImageIndex.parse(side, bytes).header };
  });
  const versions = packages(service);
  writeFileSync(
    join(to, 'packages.tsv'),
    ['package\ta\tb', ...versions.map(([name, row]) => [name, ...row].join('\t')), ''].join('\n'),
  );
  const { facts, mounts } = traces.run;
  const recipe = [
    `# ${service}: what was recorded`,
    '',
    `Written by \`scripts/record/bundle.mjs\`. The recipe itself is scripts/record: \`images.sh\`, \`services/${service}.sh\`, \`record.sh\`.`,
    '',
    `- Recorded ${KINDS.map((kind) => `${traces[kind].facts.started} (${kind})`).join(', ')} by ${facts.tool} on Linux ${facts.kernel}, ${facts.cpus} CPUs, transparent huge pages \`${facts.transparentHugePages}\`. Times are rounded down to ${TIME_STEP_NS} ns.`,
    `- Mounts: ${mounts.map(({ name, image }) => `${name} of ${image}`).join(', ')}; ${mounts[0].fstype}, ${mounts[0].backing}-backed, \`${mounts[0].options}\`, readahead ${mounts[0].readAheadKb} KiB.`,
    '',
    '| image | bytes | SHA-256 | inodes, of which the index has |',
    '| ----- | ----: | ------- | -----------------------------: |',
    ...indexes.map(
      ({ side, image, inodes, of }) =>
        `| ${side}.erofs | ${number(image.source.sizeBytes)} | ${image.source.sha256} | ${number(of)}, ${number(inodes)} |`,
    ),
    '',
    '| trace | memory limit, each container | most it used, a1, b1, a2 | events | lost | pages filled | dropped | cached at the end | files equal to mincore(2), different | try |',
    '| ----- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...KINDS.map((kind) => {
      const { summary: s } = traces[kind];
      const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
      return `| ${kind} | ${s.limitBytes === null ? 'none' : `${mib(s.limitBytes)} MiB`} | ${Object.values(s.peakBytes).map(mib).join(', ')} MiB | ${[s.events, s.lost, s.filledPages, s.droppedPages, s.cachedPages].map(number).join(' | ')} | ${number(s.filesEqual)}, ${s.filesDifferent} | ${s.try} |`;
    }),
    '',
    ...KINDS.flatMap((kind) =>
      traces[kind].summary.faults.map(
        (fault) =>
          `In ${kind}, ${fault}: DAMON's reclaim on the recording machine, as it does to cold pages. Those drops are events of the container \`?\`.`,
      ),
    ),
    '',
    'Packages that differ (all of them: packages.tsv):',
    '',
    '| package | a | b |',
    '| ------- | - | - |',
    ...versions.filter(([, [a, b]]) => a !== b).map(([name, [a, b]]) => `| ${name} | ${a || '—'} | ${b || '—'} |`),
    '',
  ];
  writeFileSync(join(to, 'recipe.md'), recipe.join('\n').replaceAll(/\n{3,}/g, '\n\n'));
  const files = ['a.fidx', 'b.fidx', 'limited.arrows', 'packages.tsv', 'recipe.md', 'run.arrows'];
  writeFileSync(join(to, 'SHA256SUMS'), files.map((name) => `${sha256(join(to, name))}  ${name}\n`).join(''));
}
