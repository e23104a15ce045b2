import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { z } from 'zod';
import { printableName } from '../../../erofs/index.ts';
import { DataError, UsageError } from '../../../error.ts';
import { readSmall, type Store, type StoredFile } from './store.ts';

// OCI image specification 1.1: image-layout.md, image-index.md, manifest.md, config.md; moby's image/spec for docker save.

const Digest = z.string().regex(/^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/, 'is no sha256 or sha512 digest');

const Platform = z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() });
type Platform = z.infer<typeof Platform>;

const Descriptor = z.object({
  mediaType: z.string().optional(),
  digest: Digest,
  size: z.number().int().nonnegative(),
  platform: Platform.optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
});
export type Descriptor = z.infer<typeof Descriptor>;

const Index = z.object({ schemaVersion: z.literal(2), manifests: z.array(Descriptor) });
const Manifest = z.object({ schemaVersion: z.literal(2), config: Descriptor, layers: z.array(Descriptor) });
const Config = z.object({
  os: z.string().optional(),
  architecture: z.string().optional(),
  variant: z.string().optional(),
  rootfs: z.object({ diff_ids: z.array(Digest) }),
});
const DockerManifest = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
/** What is a tar archive, compressed or not; which of the two its first bytes tell, for docker save says gzip of plain ones. */
const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer(\.nondistributable)?\.v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;
const MAX_DEPTH = 8;

export interface OciLayer {
  /** `layer 2 of 5 (sha256:0123456789ab…)`, for errors */
  label: string;
  file: StoredFile;
  /** of the stored bytes; null where docker save doesn't say it */
  digest: string | null;
  /** of the tar archive in them */
  diffId: string;
}

export interface OciImage {
  name: string;
  /** SHA-256 (hex) of the config, which is the image's id: it holds the digests of the layers, and so decides the whole tree */
  sha256: string;
  /** SHA-256 (hex) of the manifest, or of docker save's manifest.json */
  manifestSha256: string;
  /** lowest first */
  layers: OciLayer[];
}

export interface Choice {
  /** `os/architecture[/variant]` */
  platform?: string | undefined;
  /** one of the names the image goes by in its container, or its manifest's digest */
  image?: string | undefined;
}

/** An image of a container before its layers are looked at. */
interface Candidate {
  names: readonly string[];
  platform: Platform | null;
  /** of the manifest; docker save has none */
  digest: string | null;
  /** the entry at the top that it comes from: images for several platforms have one in common */
  group: string;
  load(): Promise<OciImage>;
}

/**
 * Finds the one image that is meant.
 * @throws UsageError with the list when there are several
 */
export async function selectImage(store: Store, { platform, image }: Choice): Promise<OciImage> {
  const wanted = platform === undefined ? null : parsePlatform(platform);
  let left = await candidates(store);
  if (left.length === 0) throw new DataError(store.path, 'holds no container image');
  if (image !== undefined) {
    const named = left.filter(({ names, digest }) => names.includes(image) || digest === image);
    if (named.length === 0) throw new UsageError(`${store.path}: no image '${image}'; there ${list(left.map(nameOf))}`);
    left = named;
  } else if (new Set(left.map(({ group }) => group)).size > 1)
    throw new UsageError(`${store.path}: several images: add --image NAME; there ${list(left.map(nameOf))}`);
  const host = hostPlatform();
  let fitting = left.filter((candidate) => fits(candidate.platform, wanted ?? host));
  if (fitting.length === 0 && wanted === null && left.length === 1) fitting = left;
  if (fitting.length === 1) return fitting[0]!.load();
  const there = list(left.map((candidate) => platformText(candidate.platform)));
  if (fitting.length > 1) throw new UsageError(`${store.path}: several images fit: add --platform; there ${there}`);
  throw new UsageError(
    `${store.path}: no image for ${platformText(wanted ?? host)}${wanted === null ? ': add --platform' : ''}; there ${there}`,
  );
}

async function candidates(store: Store): Promise<Candidate[]> {
  const index = store.find('index.json');
  if (index !== undefined) {
    const { manifests } = parse(store, 'index.json', await readSmall(store, 'index.json', index), Index);
    const found = new Map<string, Candidate>();
    // Entries at the top without a name are taken for the platforms of one image.
    for (const entry of manifests) await collect(store, entry, { names: [], group: '' }, found, 0);
    return [...found.values()];
  }
  const legacy = store.find('manifest.json');
  if (legacy === undefined)
    throw new DataError(store.path, 'has neither index.json (OCI image layout) nor manifest.json (docker save)');
  const bytes = await readSmall(store, 'manifest.json', legacy);
  const manifestSha256 = sha256(bytes);
  const found: Candidate[] = [];
  for (const { Config: config, RepoTags, Layers } of parse(store, 'manifest.json', bytes, DockerManifest)) {
    const { file, bytes: configBytes } = await readNamed(store, config);
    const hex = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(config)?.[1];
    if (hex !== undefined && sha256(configBytes) !== hex)
      throw new DataError(store.path, `${config}: its SHA-256 is ${sha256(configBytes)}`);
    const parsed = parse(store, file, configBytes, Config);
    found.push({
      names: RepoTags ?? [],
      platform: platformOf(parsed),
      digest: `sha256:${sha256(configBytes)}`,
      group: config,
      load: async () => {
        const layers = Layers.map((name) => ({ name, file: named(store, name), digest: null }));
        const name = RepoTags?.[0] ?? basename(store.path);
        return {
          name,
          sha256: sha256(configBytes),
          manifestSha256,
          layers: join(store, layers, parsed.rootfs.diff_ids),
        };
      },
    });
  }
  return found;
}

/** Manifests behind a descriptor. Attestations and artifacts are no images. */
async function collect(
  store: Store,
  entry: Descriptor,
  from: Pick<Candidate, 'names' | 'group'>,
  found: Map<string, Candidate>,
  depth: number,
): Promise<void> {
  const { mediaType = MANIFEST_TYPES[0]!, digest, annotations } = entry;
  if (annotations?.['vnd.docker.reference.type'] !== undefined) return;
  // containerd and docker write the whole name and the tag, skopeo and podman either as the tag.
  const own = [annotations?.['io.containerd.image.name'], annotations?.['org.opencontainers.image.ref.name']];
  const names = [...new Set([...from.names, ...(depth === 0 ? own : [])])].filter((name) => name !== undefined);
  const group = depth > 0 || names.length === 0 ? from.group : digest;
  if (INDEX_TYPES.includes(mediaType)) {
    if (depth === MAX_DEPTH) throw new DataError(store.path, `${digest}: an index in an index without end`);
    const blob = await readBlob(store, entry);
    const { manifests } = parse(store, digest, blob, Index);
    for (const inner of manifests) await collect(store, inner, { names, group }, found, depth + 1);
    return;
  }
  if (!MANIFEST_TYPES.includes(mediaType)) return;
  const known = found.get(digest);
  if (known !== undefined) {
    found.set(digest, { ...known, names: [...new Set([...known.names, ...names])] });
    return;
  }
  // A pulled image keeps the list of all its platforms, and has the blobs of one.
  if (store.find(blobName(digest)) === undefined && depth > 0) return;
  const platform = entry.platform ?? (await configOf(store, await manifestOf(store, entry))).platform;
  found.set(digest, { names, platform, digest, group, load: () => load(store, entry, names) });
}

async function manifestOf(store: Store, entry: Descriptor): Promise<z.infer<typeof Manifest>> {
  return parse(store, entry.digest, await readBlob(store, entry), Manifest);
}

async function configOf(
  store: Store,
  { config }: z.infer<typeof Manifest>,
): Promise<{ platform: Platform | null; diffIds: readonly string[]; sha256: string }> {
  const bytes = await readBlob(store, config);
  const parsed = parse(store, config.digest, bytes, Config);
  return { platform: platformOf(parsed), diffIds: parsed.rootfs.diff_ids, sha256: sha256(bytes) };
}

async function load(store: Store, entry: Descriptor, names: readonly string[]): Promise<OciImage> {
  const manifest = await manifestOf(store, entry);
  const config = await configOf(store, manifest);
  const layers = manifest.layers.map(({ mediaType, digest, size }) => {
    if (mediaType === undefined || !LAYER_TYPE.test(mediaType))
      throw new DataError(store.path, `${digest}: unsupported: a layer of type ${mediaType ?? 'unknown'}`);
    const file = named(store, blobName(digest));
    checkSize(store, { digest, size }, file);
    return { name: digest, file, digest };
  });
  return {
    name: names[0] ?? basename(store.path),
    sha256: config.sha256,
    manifestSha256: sha256(await readBlob(store, entry)),
    layers: join(store, layers, config.diffIds),
  };
}

function join(
  store: Store,
  layers: readonly { name: string; file: StoredFile; digest: string | null }[],
  diffIds: readonly string[],
): OciLayer[] {
  if (layers.length !== diffIds.length)
    throw new DataError(store.path, `${layers.length} layers, but ${diffIds.length} diff_ids in the config`);
  return layers.map(({ name, file, digest }, at) => ({
    label: `layer ${at + 1} of ${layers.length} (${printableName(name.slice(0, 19))}${name.length > 19 ? '…' : ''})`,
    file,
    digest,
    diffId: diffIds[at]!,
  }));
}

function named(store: Store, name: string): StoredFile {
  if (name.startsWith('/') || name.split('/').includes('..'))
    throw new DataError(store.path, `'${printableName(name)}' would lie outside`);
  const file = store.find(name);
  if (file === undefined) throw new DataError(store.path, `${printableName(name)} is not there`);
  return file;
}

async function readNamed(store: Store, name: string): Promise<{ file: string; bytes: Buffer }> {
  return { file: name, bytes: await readSmall(store, name, named(store, name)) };
}

/** A blob of JSON, checked against its descriptor. */
async function readBlob(store: Store, descriptor: Descriptor): Promise<Buffer> {
  const { digest } = descriptor;
  const file = named(store, blobName(digest));
  checkSize(store, descriptor, file);
  const bytes = await readSmall(store, digest, file);
  const actual = `${digest.slice(0, 6)}:${createHash(digest.slice(0, 6)).update(bytes).digest('hex')}`;
  if (actual !== digest) throw new DataError(store.path, `${digest}: its content is ${actual}`);
  return bytes;
}

function checkSize(store: Store, { digest, size }: Pick<Descriptor, 'digest' | 'size'>, file: StoredFile): void {
  if (file.sizeBytes !== size)
    throw new DataError(store.path, `${digest}: is ${file.sizeBytes} bytes, where its descriptor says ${size}`);
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function parse<T>(store: Store, name: string, bytes: Buffer, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new DataError(store.path, `${printableName(name)}: is not JSON`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new DataError(store.path, `${printableName(name)}: ${issue.path.join('.')}: ${issue.message}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Architectures as Go names them, which the specification asks for. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** What containers run as here: Linux, wherever this runs. */
function hostPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/');
  if (!os || !architecture || variant === '' || rest.length > 0)
    throw new UsageError(`--platform '${text}' is not of the form os/architecture or os/architecture/variant`);
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function platformOf({ os, architecture, variant }: z.infer<typeof Config>): Platform | null {
  if (os === undefined || architecture === undefined) return null;
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function fits(platform: Platform | null, wanted: Platform): boolean {
  if (platform === null || platform.os !== wanted.os || platform.architecture !== wanted.architecture) return false;
  return wanted.variant === undefined || variantOf(platform) === variantOf(wanted);
}

/** arm64 has one variant, which may be left out. */
function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant ?? (architecture === 'arm64' ? 'v8' : undefined);
}

function platformText(platform: Platform | null): string {
  if (platform === null) return 'one for an unknown platform';
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined).join('/');
}

function nameOf({ names, digest }: Candidate): string {
  return names[0] ?? digest ?? 'one without a name';
}

function list(texts: readonly string[]): string {
  const distinct = [...new Set(texts)].map(printableName).sort();
  return `${distinct.length === 1 ? 'is' : 'are'} ${distinct.join(', ')}`;
}
