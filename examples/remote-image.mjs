// What is in an image on a web server, and the bytes of a file of it:
//
//   node examples/remote-image.mjs URL                        names, as `foliolab image ls` prints them
//   node examples/remote-image.mjs URL PATH [OFFSET LENGTH]   a file, or a part of it, to stdout
//
// The last line on stderr is what it cost.
import { ErofsError, Image, printableName } from 'foliolab/erofs';
import { HttpReader } from './http-reader.mjs';

const [url, path, offset = '0', length] = process.argv.slice(2);
try {
  if (url === undefined) throw new TypeError('usage: remote-image.mjs URL [PATH [OFFSET LENGTH]]');
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
