import type { SeriesPoint } from './result.ts';

/** Points on the time axis of a replay. */
const STEPS = 240;

/** Resident pages over time on a fixed grid; only the points where something changed are kept. */
export class ResidencySeries {
  readonly #points: SeriesPoint[] = [];
  readonly #stepNs: number;
  readonly #endNs: number;
  /** Time of the next grid point: call {@link advance} with the first row at or past it, before that row is replayed. */
  nextNs: number;

  constructor(endNs: number) {
    this.#endNs = endNs;
    this.#stepNs = Math.max(1, endNs / STEPS);
    this.nextNs = 0;
  }

  /** @param residentPages pages cached just before `timeNs` */
  advance(timeNs: number, residentPages: number): void {
    const passed = Math.floor((timeNs - this.nextNs) / this.#stepNs);
    this.#push(Math.round(this.nextNs), residentPages);
    if (passed > 0) this.#push(Math.round(this.nextNs + passed * this.#stepNs), residentPages);
    this.nextNs += (passed + 1) * this.#stepNs;
  }

  finish(residentPages: number): SeriesPoint[] {
    this.#push(this.#endNs, residentPages, true);
    return this.#points;
  }

  #push(timeNs: number, residentPages: number, last = false): void {
    const before = this.#points.at(-1);
    if (before && before.timeNs === timeNs) before.residentPages = residentPages;
    else if (last || before?.residentPages !== residentPages) this.#points.push({ timeNs, residentPages });
  }
}
