import type { Random } from './random.ts';

/** Gives the pages of a synthetic trace, one reference after the other. */
export type Generator = () => number;

/** What a generator may be told: each a number, with what it is by default. */
export interface Kind {
  readonly name: string;
  readonly title: string;
  readonly parameters: Readonly<Record<string, { readonly otherwise: number; readonly meaning: string }>>;
  /** @param universe how many pages there are */
  make(universe: number, random: Random, parameters: Readonly<Record<string, number>>): Generator;
}

/**
 * Draws ranks 0 … n − 1 with probability proportional to (rank + 1)^−alpha, exactly: the inverse of the cumulative distribution, by bisection.
 */
export function zipfRanks(n: number, alpha: number, random: Random): Generator {
  const sums = new Float64Array(n);
  let sum = 0;
  for (let rank = 0; rank < n; rank++) {
    sum += (rank + 1) ** -alpha;
    sums[rank] = sum;
  }
  return () => {
    const wanted = random.unit() * sum;
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

export const KINDS: readonly Kind[] = [
  {
    name: 'zipf',
    title: 'pages by a Zipf distribution, the popular ones anywhere',
    parameters: { alpha: { otherwise: 1, meaning: 'skew: rank r has probability proportional to r^-alpha' } },
    make(universe, random, { alpha }) {
      const page = random.permutation(universe);
      const rank = zipfRanks(universe, alpha!, random);
      return () => page[rank()]!;
    },
  },
  {
    name: 'scan',
    title: 'all pages in order, each once, then those behind them: nothing comes again',
    parameters: {},
    make() {
      let page = 0;
      return () => page++;
    },
  },
  {
    name: 'loop',
    title: 'all pages in order, over and over',
    parameters: {},
    make(universe) {
      let page = 0;
      return () => page++ % universe;
    },
  },
  {
    name: 'hot-cold',
    title: 'some pages often, the others seldom, each kind evenly',
    parameters: {
      hot: { otherwise: 0.1, meaning: 'share of the pages that are hot' },
      probability: { otherwise: 0.9, meaning: 'share of the references that go to them' },
    },
    make(universe, random, { hot, probability }) {
      const page = random.permutation(universe);
      const hotPages = Math.min(universe, Math.max(1, Math.round(hot! * universe)));
      return () => {
        const isHot = random.unit() < probability! || hotPages === universe;
        return page[isHot ? random.below(hotPages) : hotPages + random.below(universe - hotPages)]!;
      };
    },
  },
  {
    name: 'phase-change',
    title: 'Zipf, where other pages become the popular ones every so often',
    parameters: {
      alpha: { otherwise: 1, meaning: 'skew, as of zipf' },
      every: { otherwise: 100_000, meaning: 'references of a phase' },
    },
    make(universe, random, { alpha, every }) {
      const rank = zipfRanks(universe, alpha!, random);
      let page = random.permutation(universe);
      let left = Math.round(every!);
      return () => {
        if (left-- === 0) {
          page = random.permutation(universe);
          left = Math.round(every!) - 1;
        }
        return page[rank()]!;
      };
    },
  },
];
