// node scripts/images/compare.mjs IMAGE INDEX: what of an EROFS image (or its index) is unlike an index, path by path.
// Status 0: nothing, 1: something, 2: one of them cannot be read. Needs `npm run build`.
import process from 'node:process';

const SHOWN = 20;
const [, , imagePath, indexPath] = process.argv;
if (indexPath === undefined) fail('usage: compare.mjs IMAGE INDEX');
const { openImageIndex } = await import('../../dist/replay/image-index/open.js').catch((error) => fail(error.message));

const [image, index] = await Promise.all([imagePath, indexPath].map(openImageIndex)).catch((e) => fail(e.message));
const expected = new Map();
for (const { path, ordinal } of index.entries()) expected.set(path, ordinal);

let same = 0;
let moved = 0;
const differences = [];
for (const { path, ordinal } of image.entries()) {
  const other = expected.get(path);
  expected.delete(path);
  const what = other === undefined ? ['only in the image'] : unlike(ordinal, other);
  if (other !== undefined && image.columns.nid[ordinal] !== index.columns.nid[other]) moved++;
  if (what.length === 0) same++;
  else differences.push(`${path}: ${what.join(', ')}`);
}
for (const path of expected.keys()) differences.push(`${path}: not in the image`);

console.log(`${imagePath}: ${same} paths as in ${indexPath}, ${differences.length} not`);
for (const difference of differences.slice(0, SHOWN)) console.log(`  ${difference}`);
if (differences.length > SHOWN) console.log(`  and ${differences.length - SHOWN} more`);
if (moved > 0) console.log(`  ${moved} paths have another nid: traces, which name files by nid, do not fit this image`);
process.exitCode = differences.length + moved > 0 ? 1 : 0;

/** Names of the fields in which an inode of the image is unlike one of the index. */
function unlike(a, b) {
  const fields = ['type', 'mode', 'uid', 'gid', 'nlink', 'sizeBytes'];
  const names = fields.filter((field) => image.columns[field][a] !== index.columns[field][b]);
  if (image.contentKey(a) !== index.contentKey(b))
    names.push(`content of ${unlikePages(a, b)} of ${image.pagesOf(a)} pages`);
  return names;
}

function unlikePages(a, b) {
  let unlikeCount = 0;
  for (let page = 0; page < image.pagesOf(a); page++)
    if (page >= index.pagesOf(b) || pageOf(image, a, page) !== pageOf(index, b, page)) unlikeCount++;
  return unlikeCount;
}

function pageOf({ columns }, ordinal, page) {
  const at = 2 * (columns.firstPage[ordinal] + page);
  return `${columns.pageDigest[at]} ${columns.pageDigest[at + 1]}`;
}

function fail(message) {
  console.error(`compare.mjs: ${message}`);
  process.exit(2);
}
