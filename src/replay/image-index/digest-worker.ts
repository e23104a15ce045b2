import { parentPort } from 'node:worker_threads';
import { Image } from '../../erofs/index.ts';
import { type DigestJob, runLane } from './digest.ts';

/** A lane in a thread of its own; it ends with its job. */
parentPort?.once('message', (job: DigestJob) => {
  const image = Image.open(job.image, { devices: job.devices });
  try {
    runLane(job, image);
  } finally {
    image.close();
  }
});
