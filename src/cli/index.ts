import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { DataError, UsageError } from '../error.ts';
import { indexDocument } from '../replay/image-index/document.ts';
import { type ImageOptions, packImage } from '../replay/image-index/from-image.ts';
import { ImageIndex } from '../replay/image-index/image-index.ts';
import { MANIFEST_NIDS, packManifest } from '../replay/image-index/manifest.ts';
import { packOci } from '../replay/image-index/oci/from-oci.ts';
import { kindOf, openImageIndex } from '../replay/image-index/open.ts';
import { findIndexOf } from '../replay/image-index/reuse.ts';
import { writeFileAtomic } from '../replay/io/output.ts';
import { type BoundFlags, boundsOf, whole, withBounds } from './numbers.ts';
import { userCache } from './user-cache.ts';

interface IndexFlags extends BoundFlags {
  output?: string;
  json?: boolean;
  force?: boolean;
  jobs?: string;
  device?: string[];
  manifest?: string;
  pages?: string;
  elf?: string;
  nid: (typeof MANIFEST_NIDS)[number];
  platform?: string;
  image?: string;
  imageName?: string;
  imageSha256?: string;
}

type EachImageOptions = Pick<ImageOptions, 'jobs' | 'maxData' | 'maxMetadata' | 'maxBytes'>;

/** `index`: what replay needs of an image, without the image. */
export function indexCommand(): Command {
  const index = new Command('index')
    .description('make an index: what replay needs of an image, without the image')
    .argument('[image]', 'EROFS image, OCI image layout or docker save archive; with --json alone also an index')
    .option(
      '-o, --output <file>',
      'where the index goes; one of the same EROFS image that is there already is left as it is',
    )
    .option('--force', 'make it anew even so')
    .option('--json', 'print what the index says (foliolab.index.info/1); without -o it is only printed')
    .option('--jobs <number>', 'threads (default: as many as the image is worth, one a core at most)')
    .option('--device <blob...>', "the image's extra devices, in slot order")
    .option('--platform <os/arch>', "of an OCI image for several (default: this machine's)")
    .option('--image <name>', 'of several OCI images: its reference, or digest')
    .option('--manifest <file>', 'make it from a manifest (TSV) instead of an image; layout is then unknown')
    .option('--pages <file>', 'page digests that go with --manifest')
    .option('--elf <file>', 'ELF segments (TSV) that go with --manifest')
    .addOption(new Option('--nid <column>', 'whose nids the traces use').choices(MANIFEST_NIDS).default('plain'))
    .option('--image-name <name>', 'with --manifest: name of the image it describes')
    .option('--image-sha256 <hex>', 'with --manifest: hash of that image')
    .action(async (image: string | undefined, flags: IndexFlags) => {
      const options = {
        ...(flags.jobs !== undefined && { jobs: whole('--jobs', flags.jobs, 1) }),
        ...boundsOf(flags),
      };
      const index =
        flags.output === undefined
          ? await look(image, flags, options)
          : await make(image, flags.output, flags, options);
      if (flags.json)
        for (const text of indexDocument(index)) if (!process.stdout.write(text)) await once(process.stdout, 'drain');
    });
  return withBounds(index, true);
}

/** What is in an index, or would be in an image's. */
async function look(image: string | undefined, flags: IndexFlags, options: EachImageOptions): Promise<ImageIndex> {
  const { json, manifest, device, force, platform, image: reference } = flags;
  if (!json || manifest !== undefined) throw new UsageError('index needs -o FILE, or --json to look into one');
  if (image === undefined) throw new UsageError('index --json needs an image or an index');
  if (device !== undefined) throw new UsageError('index with --device needs -o FILE');
  if (force) throw new UsageError('index with --force needs -o FILE');
  const kind = await kindOf(image);
  if (kind !== null) refuseOthers(kind, flags);
  const oci = { ...(platform !== undefined && { platform }), ...(reference !== undefined && { image: reference }) };
  return openImageIndex(image, { cache: userCache(), oci, erofs: options });
}

/** What of the options goes with images of one kind only. */
function refuseOthers(kind: 'index' | 'erofs' | 'oci' | 'manifest', flags: IndexFlags): void {
  if (kind !== 'oci' && (flags.platform ?? flags.image) !== undefined)
    throw new UsageError('--platform and --image go with an OCI image');
  if (kind !== 'erofs' && (flags.jobs ?? flags.maxData ?? flags.maxMetadata ?? flags.maxBytes) !== undefined)
    throw new UsageError('--jobs, --max-data, --max-metadata and --max-bytes go with an EROFS image');
}

async function make(
  image: string | undefined,
  output: string,
  flags: IndexFlags,
  options: EachImageOptions,
): Promise<ImageIndex> {
  const devices = flags.device ?? [];
  for (const input of [image, ...devices, flags.manifest, flags.pages, flags.elf])
    if (input !== undefined && (await sameFile(input, output)))
      throw new UsageError(`-o ${output} would overwrite ${input}, which it is made of`);
  if (flags.manifest === undefined)
    for (const name of ['pages', 'elf', 'imageName', 'imageSha256'] as const)
      if (flags[name] !== undefined)
        throw new UsageError('--pages, --elf, --image-name and --image-sha256 go with --manifest');
  if (image !== undefined && flags.manifest === undefined && (await kindOf(image)) === 'index')
    throw new DataError(image, 'is an index already; index makes one of an image');
  const isOci = image !== undefined && flags.manifest === undefined && (await kindOf(image)) === 'oci';
  if (isOci && devices.length > 0) throw new UsageError('--device goes with an EROFS image');
  refuseOthers(isOci ? 'oci' : image === undefined || flags.manifest !== undefined ? 'manifest' : 'erofs', flags);
  let sha256: { sha256?: readonly string[] } = {};
  if (image !== undefined && !isOci && flags.manifest === undefined && !flags.force) {
    const found = await findIndexOf(output, image, devices);
    if (found.index !== null) {
      process.stderr.write(`${output}: unchanged, reused: ${counts(found.index)}\n`);
      return found.index;
    }
    if (found.sha256) sha256 = { sha256: found.sha256 };
  }
  const bytes =
    image === undefined || flags.manifest !== undefined
      ? await fromManifest(image, flags)
      : isOci
        ? await packOci(image, flags)
        : await packImage(image, { devices, ...options, ...sha256 });
  const index = ImageIndex.parse(output, bytes);
  await writeFileAtomic(output, bytes);
  const layout = index.header.known.layout ? '' : '; layout unknown';
  process.stderr.write(`${output}: ${counts(index)}, ${bytes.length} bytes${layout}\n`);
  return index;
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => stat(path).catch(() => null)));
  return one !== null && other !== null && one!.ino === other!.ino && one!.dev === other!.dev && one!.isFile();
}

function counts({ header }: ImageIndex): string {
  return `${header.inodes} inodes, ${header.pages} pages`;
}

function fromManifest(image: string | undefined, flags: IndexFlags): Promise<Buffer> {
  if (image !== undefined) throw new UsageError('index takes an image or --manifest, not both');
  if (flags.manifest === undefined) throw new UsageError('index needs an image, or --manifest with --pages');
  if (flags.pages === undefined) throw new UsageError('--manifest needs --pages');
  if (flags.imageSha256 !== undefined && !/^[0-9a-f]{64}$/.test(flags.imageSha256))
    throw new UsageError('--image-sha256 is not 64 hex digits');
  return packManifest({ ...flags, manifest: flags.manifest, pages: flags.pages });
}
