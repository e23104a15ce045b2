import { inversePower } from './power.ts';
import { Random } from './random.ts';

/** Gives the pages of a synthetic trace, one reference after the other. */
export type Generator = () => number;

export interface Parameter {
  readonly otherwise: number;
  readonly meaning: string;
  readonly least: number;
  readonly most: number;
}

/** A kind of synthetic trace, and what it may be told: each a number, with what it is by default. */
export interface Kind {
  readonly name: string;
  readonly title: string;
  readonly parameters: Readonly<Record<string, Parameter>>;
  /**
   * What all containers share: which pages are the popular ones.
   * @param universe how many pages there are
   * @returns makes the stream of one container out of random numbers of its own
   */
  make(universe: number, seed: number, parameters: Readonly<Record<string, number>>): (random: Random) => Generator;
}

/** Running sums of (rank + 1)^−alpha. */
function zipfSums(n: number, alpha: number): Float64Array {
  const sums = new Float64Array(n);
  let sum = 0;
  for (let rank = 0; rank < n; rank++) {
    sum += inversePower(rank + 1, alpha);
    sums[rank] = sum;
  }
  return sums;
}

/** Draws a rank with the probability that its step in the running sums has, exactly: the inverse of the distribution, by bisection. */
function draw(sums: Float64Array, random: Random): number {
  const wanted = random.unit() * sums[sums.length - 1]!;
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** of {@link Random}: what all containers share has this, and what each has of its own the ones behind */
const SHARED = 0;
const PHASES = 2 ** 31;
const ALPHA: Parameter = {
  otherwise: 1,
  meaning: 'skew: rank r has probability proportional to r^-alpha',
  least: 0,
  most: 16,
};

export const KINDS: readonly Kind[] = [
  {
    name: 'zipf',
    title: 'pages by a Zipf distribution, the popular ones anywhere',
    parameters: { alpha: ALPHA },
    make(universe, seed, { alpha }) {
      const page = new Random(seed, SHARED).permutation(universe);
      const sums = zipfSums(universe, alpha!);
      return (random) => () => page[draw(sums, random)]!;
    },
  },
  {
    name: 'scan',
    title: 'pages in order, those behind --pages too: nothing comes again',
    parameters: {},
    make() {
      return () => {
        let page = 0;
        return () => page++;
      };
    },
  },
  {
    name: 'loop',
    title: 'all pages in order, over and over',
    parameters: {},
    make(universe) {
      return () => {
        let page = -1;
        return () => {
          page = page + 1 === universe ? 0 : page + 1;
          return page;
        };
      };
    },
  },
  {
    name: 'hot-cold',
    title: 'some pages often, the others seldom, each kind evenly',
    parameters: {
      hot: { otherwise: 0.1, meaning: 'share of the pages that are hot', least: 0, most: 1 },
      probability: { otherwise: 0.9, meaning: 'share of the references that go to them', least: 0, most: 1 },
    },
    make(universe, seed, { hot, probability }) {
      const page = new Random(seed, SHARED).permutation(universe);
      const hotPages = Math.min(universe, Math.max(1, Math.round(hot! * universe)));
      return (random) => () => {
        const isHot = random.unit() < probability! || hotPages === universe;
        return page[isHot ? random.below(hotPages) : hotPages + random.below(universe - hotPages)]!;
      };
    },
  },
  {
    name: 'phase-change',
    title: 'Zipf, where other pages become the popular ones every so often',
    parameters: {
      alpha: ALPHA,
      every: { otherwise: 100_000, meaning: 'references of a container in a phase', least: 1, most: 2 ** 48 },
    },
    make(universe, seed, { alpha, every }) {
      const sums = zipfSums(universe, alpha!);
      const length = Math.round(every!);
      // Containers take turns: they are in the same phase, but for those that have begun the next.
      let phase = -1;
      let page: Uint32Array = new Uint32Array(0);
      const pagesOf = (wanted: number): Uint32Array => {
        if (wanted !== phase) page = new Random(seed, PHASES + wanted).permutation(universe);
        phase = wanted;
        return page;
      };
      return (random) => {
        let number = -1;
        let left = 0;
        let mine: Uint32Array = page;
        return () => {
          if (left === 0) {
            left = length;
            mine = pagesOf(++number);
          }
          left--;
          return mine[draw(sums, random)]!;
        };
      };
    },
  },
];
