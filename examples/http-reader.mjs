// An HTTP range reader for foliolab/erofs: images that lie on a web server, read without downloading them.
//
// The decoder is synchronous and fetch is not, so a worker thread fetches while this one sleeps on a shared word:
//
//   readAt ─► blocks in the cache? ─► ask the worker, Atomics.wait ─► 206? as asked? same image? ─► cache ─► bytes
//
// It blocks its thread as a disk would. In a server, give it a thread of its own.
import { MessageChannel, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads';
import { ErofsError } from 'foliolab/erofs';

const BLOCK = 64 << 10;

/** @implements {import('foliolab/erofs').BlockReader} */
export class HttpReader {
  /** the URL; names the image in errors */
  path;
  /** bytes of the image, as the first answer's Content-Range says */
  size = 0;
  /** what was asked of the server, and what it sent in answers that were used, in bytes */
  requests = 0;
  transferred = 0;

  /** @type {Map<number, Uint8Array>} the last used last */
  #cache = new Map();
  #cacheBlocks;
  #patienceMs;
  #bell = new Int32Array(new SharedArrayBuffer(4));
  #port;
  #worker;
  /** @type {string | null} ETag or Last-Modified of the first answer: another one means another image */
  #version = null;

  /**
   * @param {string | URL} url
   * @param {{ cacheBlocks?: number, timeoutMs?: number, attempts?: number }} [options] the cache, in blocks of 64 KiB; the
   *   time one request may take; how often it is tried when the network fails or the server answers 429 or 5xx
   */
  constructor(url, { cacheBlocks = 64, timeoutMs = 30_000, attempts = 3 } = {}) {
    this.path = String(url);
    this.#cacheBlocks = cacheBlocks;
    // If even the worker's own time limits don't end it, something else is wrong.
    this.#patienceMs = attempts * (timeoutMs + 2000);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: { httpReader: { url: this.path, bell: this.#bell, port: port2, timeoutMs, attempts } },
      transferList: [port2],
      execArgv: [],
    });
    this.#worker.unref();
    try {
      this.#fetch(0, BLOCK);
    } catch (e) {
      this.close();
      throw e;
    }
  }

  /** @param {number} offset @param {number} length */
  readAt(offset, length) {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw this.#error('EINVAL', `${length} bytes asked for, of ${this.size}`, offset);
    }
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(offset / BLOCK);
    const last = Math.floor((offset + length - 1) / BLOCK);
    // A cached block is never written again, so a view of it stays true.
    if (first === last) return this.#block(first).subarray(offset - first * BLOCK, offset - first * BLOCK + length);
    const out = new Uint8Array(length);
    for (let i = first; i <= last; ) {
      let bytes = this.#cache.get(i);
      let next = i + 1;
      if (bytes === undefined) {
        // One request for all that is missing in a row.
        while (next <= last && !this.#cache.has(next)) next++;
        bytes = this.#fetch(i * BLOCK, (next - i) * BLOCK);
      }
      const at = i * BLOCK - offset;
      out.set(bytes.subarray(Math.max(0, -at), length - at), Math.max(0, at));
      i = next;
    }
    return out;
  }

  close() {
    this.#port.close();
    this.#worker.terminate();
    this.#cache.clear();
    this.#patienceMs = 0;
  }

  /** @param {number} index */
  #block(index) {
    const bytes = this.#cache.get(index);
    if (bytes === undefined) return this.#fetch(index * BLOCK, BLOCK);
    this.#cache.delete(index);
    this.#cache.set(index, bytes);
    return bytes;
  }

  /** Whole blocks, fewer bytes at the image's end, which go into the cache. @param {number} offset @param {number} length */
  #fetch(offset, length) {
    if (this.#patienceMs === 0) throw this.#error('EBADF', 'the reader was closed', offset);
    const end = this.#version === null ? length : Math.min(offset + length, this.size);
    this.requests++;
    Atomics.store(this.#bell, 0, 0);
    this.#port.postMessage({ offset, end, version: this.#version });
    Atomics.wait(this.#bell, 0, 0, this.#patienceMs);
    const answer = receiveMessageOnPort(this.#port)?.message;
    if (answer === undefined) {
      this.close(); // its answer, should it still come, must not be taken for another's
      throw this.#error('EIO', 'the thread that fetches does not answer', offset);
    }
    if (answer.error !== undefined) throw this.#error('EIO', answer.error, offset);
    const { bytes, size, version } = answer;
    if (this.#version === null) this.size = size;
    else if (version !== this.#version || size !== this.size) {
      throw this.#error('EIO', `the image changed while it was read (${this.#version}, now ${version})`, offset);
    }
    this.#version = version;
    this.transferred += bytes.length;
    for (let at = 0; at < bytes.length; at += BLOCK) {
      this.#cache.set((offset + at) / BLOCK, bytes.slice(at, at + BLOCK));
      if (this.#cache.size > this.#cacheBlocks) this.#cache.delete(this.#cache.keys().next().value ?? 0);
    }
    return bytes;
  }

  /** @param {string} code @param {string} what @param {number} offset */
  #error(code, what, offset) {
    return new ErofsError(code, what, { path: this.path, offset });
  }
}

// ---- the worker thread

if (workerData?.httpReader) {
  const { url, bell, port, timeoutMs, attempts } = workerData.httpReader;
  port.on('message', async (/** @type {{ offset: number, end: number, version: string | null }} */ ask) => {
    let answer = await range(url, ask, timeoutMs);
    for (let n = 1; n < attempts && answer.again; n++) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(2000, 100 * 4 ** n) * Math.random()));
      answer = await range(url, ask, timeoutMs);
    }
    port.postMessage(answer, answer.bytes ? [answer.bytes.buffer] : []);
    Atomics.store(bell, 0, 1);
    Atomics.notify(bell, 0);
  });
}

/**
 * One request, and everything that makes its answer believable.
 * @param {string} url
 * @param {{ offset: number, end: number, version: string | null }} ask
 * @param {number} timeoutMs
 * @returns {Promise<{ bytes?: Uint8Array<ArrayBuffer>, size?: number, version?: string, error?: string, again?: boolean }>}
 */
async function range(url, { offset, end, version }, timeoutMs) {
  const hangUp = new AbortController();
  const timer = setTimeout(() => hangUp.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    /** @type {Record<string, string>} */
    const headers = { range: `bytes=${offset}-${end - 1}`, 'accept-encoding': 'identity' };
    if (version?.startsWith('"')) headers['if-match'] = version;
    const response = await fetch(url, { headers, signal: hangUp.signal });
    const { status } = response;
    if (status === 412) return { error: `the image changed while it was read (it was ${version})` };
    if (status === 200) return { error: 'the server sends whole files only: it ignores Range' };
    if (status !== 206) return { error: `the server answers ${status}`, again: status === 429 || status >= 500 };
    const [, from, to, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    const length = Math.min(end, Number(size)) - offset;
    if (Number(from) !== offset || Number(to) !== offset + length - 1 || response.headers.has('content-encoding')) {
      return { error: `the server sends other bytes than asked for (${response.headers.get('content-range')})` };
    }
    const now = response.headers.get('etag') ?? response.headers.get('last-modified') ?? 'no ETag, no Last-Modified';
    const bytes = new Uint8Array(length);
    let done = 0;
    for await (const chunk of response.body ?? []) {
      if (done + chunk.length > length) return { error: `the server sends more than the ${length} bytes asked for` };
      bytes.set(chunk, done);
      done += chunk.length;
    }
    if (done < length) return { error: `the answer ended after ${done} of ${length} bytes`, again: true };
    return { bytes, size: Number(size), version: now };
  } catch (e) {
    const { message, cause } = /** @type {Error} */ (e);
    return { error: cause instanceof Error ? `${message}: ${cause.message}` : message, again: true };
  } finally {
    clearTimeout(timer);
    hangUp.abort();
  }
}
