import { Command, Option } from 'commander';
import { UsageError } from '../error.ts';
import { packImage } from '../replay/image-index/from-image.ts';
import { ImageIndex } from '../replay/image-index/image-index.ts';
import { MANIFEST_NIDS, packManifest } from '../replay/image-index/manifest.ts';
import { writeFileAtomic } from '../replay/io/output.ts';

interface IndexFlags {
  output: string;
  device?: string[];
  manifest?: string;
  pages?: string;
  elf?: string;
  nid: (typeof MANIFEST_NIDS)[number];
  imageName?: string;
  imageSha256?: string;
}

/** `index`: what replay needs of an image, without the image. */
export function indexCommand(): Command {
  return new Command('index')
    .description('make an index: what replay needs of an image, without the image')
    .argument('[image]', 'EROFS image')
    .requiredOption('-o, --output <file>', 'where the index goes')
    .option('--device <blob...>', "the image's extra devices, in slot order")
    .option('--manifest <file>', 'make it from a manifest (TSV) instead of an image; layout is then unknown')
    .option('--pages <file>', 'page digests that go with --manifest')
    .option('--elf <file>', 'ELF segments (TSV) that go with --manifest')
    .addOption(new Option('--nid <column>', 'whose nids the traces use').choices(MANIFEST_NIDS).default('plain'))
    .option('--image-name <name>', 'with --manifest: name of the image it describes')
    .option('--image-sha256 <hex>', 'with --manifest: hash of that image')
    .action(async (image: string | undefined, flags: IndexFlags) => {
      const bytes = await pack(image, flags);
      const { header } = ImageIndex.parse(flags.output, bytes);
      await writeFileAtomic(flags.output, bytes);
      process.stderr.write(
        `${flags.output}: ${header.inodes} inodes, ${header.pages} pages, ${bytes.length} bytes${header.known.layout ? '' : '; layout unknown'}\n`,
      );
    });
}

function pack(image: string | undefined, flags: IndexFlags): Promise<Buffer> {
  if (image !== undefined) {
    if (flags.manifest !== undefined) throw new UsageError('index takes an image or --manifest, not both');
    return packImage(image, { devices: flags.device ?? [] });
  }
  if (flags.manifest === undefined) throw new UsageError('index needs an image, or --manifest with --pages');
  if (flags.pages === undefined) throw new UsageError('--manifest needs --pages');
  if (flags.imageSha256 !== undefined && !/^[0-9a-f]{64}$/.test(flags.imageSha256))
    throw new UsageError('--image-sha256 is not 64 hex digits');
  return packManifest({ ...flags, manifest: flags.manifest, pages: flags.pages });
}
