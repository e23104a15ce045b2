#!/usr/bin/env python3
"""mounts.py OUT: mounts what images.py made and writes how the kernel shows it.

Runs in a mount namespace of its own (unshare -m --propagation private), with which every mount ends, however it ends.
The images are mounted as files, without loop devices (Linux 6.12). OUT/kernel/NAME.json is describe.py's rows;
OUT/mounts.json says of each image it refuses what it said.
"""
import concurrent.futures, ctypes, json, os, sys, tempfile

sys.dont_write_bytecode = True
from describe import describe, write

MS_RDONLY, MS_NOATIME = 1, 1024
libc = ctypes.CDLL(None, use_errno=True)


def mount(image, at, devices):
    """@returns what the kernel said if it refused, else None"""
    with open('/dev/kmsg', 'rb', 0) as log:
        os.set_blocking(log.fileno(), False)
        os.lseek(log.fileno(), 0, os.SEEK_END)
        options = ','.join(f'device={d}' for d in devices)
        if libc.mount(image.encode(), at.encode(), b'erofs', MS_RDONLY | MS_NOATIME, options.encode()) == 0:
            return None
        error, said = os.strerror(ctypes.get_errno()), []
        try:
            while True:
                said.append(log.read(8192).decode('utf-8', 'replace').split(';', 1)[1].splitlines()[0])
        except (BlockingIOError, TypeError, AttributeError):
            pass
        return '; '.join([error] + [line for line in said if line.startswith('erofs')])


def shown(at, to):
    try:
        write(describe(at), to)
    except OSError as e:
        return f'{os.path.relpath(os.fsdecode(e.filename), at)}: {e.strerror}'


def main(out):
    with open(f'{out}/made.json') as f:
        made = json.load(f)
    refused = {}
    with tempfile.TemporaryDirectory() as below, concurrent.futures.ProcessPoolExecutor(2) as pool:
        jobs = {}
        for name, image in made.items():
            at = f'{below}/{name}'
            os.mkdir(at)
            said = mount(image['image'], at, image['devices'])
            if said is None:
                jobs[name] = pool.submit(shown, at, f'{out}/kernel/{name}.json')
            else:
                refused[name] = said
        for name, job in jobs.items():
            if job.result() is not None:
                refused[name] = job.result()
            libc.umount2(f'{below}/{name}'.encode(), 0)
    with open(f'{out}/mounts.json', 'w') as f:
        json.dump({'refused': refused}, f)


if __name__ == '__main__':
    main(os.path.abspath(sys.argv[1]))
