import { parentPort } from 'node:worker_threads';
import { type CheckJob, runLane } from './check-lanes.ts';
import { Image } from './image.ts';

/** A lane in a thread of its own; it ends with its job. */
parentPort?.once('message', (job: CheckJob) => {
  const image = Image.open(job.image, job.options);
  try {
    runLane(job, image);
  } finally {
    image.close();
  }
});
