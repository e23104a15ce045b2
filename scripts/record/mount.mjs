// mount.mjs IMAGE DIR: mounts an EROFS image file-backed, by mount(2) itself: mount(8) would put a loop device under it.
// Needs dist/ (npm run build), and a mount namespace of one's own.
import { MS_NOATIME, MS_RDONLY, systemCalls } from '../../dist/recorder/system-calls.js';

const [image, dir] = process.argv.slice(2);
(await systemCalls()).mount(image, dir, 'erofs', MS_RDONLY | MS_NOATIME, '');
