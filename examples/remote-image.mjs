// What is in an image on a web server, and the bytes of a file of it:
//
//   node examples/remote-image.mjs URL                        names, as `foliolab image ls` prints them
//   node examples/remote-image.mjs URL PATH [OFFSET LENGTH]   a file, or a part of it, to stdout
//
// The last line on stderr is what it cost.
import { ErofsError, Image, printableName } from 'foliolab/erofs';
import { HttpReader } from './http-reader.mjs';

const USAGE = 'usage: remote-image.mjs URL [PATH [OFFSET LENGTH]]';
const [url, path, offset, length] = process.argv.slice(2);
// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (e) => process.exit(e.code === 'EPIPE' ? 0 : 1));
try {
  if (url === undefined || (offset === undefined) !== (length === undefined)) throw new TypeError(USAGE);
  const reader = new HttpReader(url);
  const image = Image.open(reader);
  if (path === undefined) {
    for (const entry of image.walk()) console.log(printableName(entry.path));
  } else {
    const inode = image.lookup(path, { follow: true });
    if (length !== undefined) process.stdout.write(image.read(inode, Number(offset), Number(length)));
    else for (const bytes of image.stream(inode)) process.stdout.write(bytes);
  }
  image.close();
  console.error(`${reader.transferred} of ${reader.size} bytes in ${reader.requests} requests`);
} catch (e) {
  if (!(e instanceof ErofsError || e instanceof TypeError)) throw e;
  console.error(`remote-image: ${e.message}`);
  process.exitCode = e instanceof TypeError ? 2 : 1;
}
