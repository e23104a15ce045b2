import { type Naive, take } from './twin.ts';

/** The paper's figure 4, case by case. */
export function arc(c: number): Naive {
  const t1: number[] = [];
  const t2: number[] = [];
  const b1: number[] = [];
  const b2: number[] = [];
  let p = 0;

  function replace(inB2: boolean): number {
    const fromT1 = t1.length > 0 && (t1.length > p || (inB2 && t1.length === p));
    // When T2 is empty there is no choice; the paper's invariants don't exclude it with p at the whole cache.
    const [from, to] = fromT1 || t2.length === 0 ? [t1, b1] : [t2, b2];
    const victim = from.shift() as number;
    to.push(victim);
    return victim;
  }
  return {
    access(x) {
      if (take(t1, x) || take(t2, x)) {
        t2.push(x); // case I
        return null;
      }
      if (b1.includes(x)) {
        p = Math.min(c, p + Math.max(b2.length / b1.length, 1)); // case II
        take(b1, x);
        const victim = replace(false);
        t2.push(x);
        return [victim];
      }
      if (b2.includes(x)) {
        p = Math.max(0, p - Math.max(b1.length / b2.length, 1)); // case III
        take(b2, x);
        const victim = replace(true);
        t2.push(x);
        return [victim];
      }
      const victims: number[] = []; // case IV
      if (t1.length + b1.length === c) {
        if (t1.length < c) {
          b1.shift();
          if (t1.length + t2.length === c) victims.push(replace(false));
        } else victims.push(t1.shift() as number);
      } else if (t1.length + t2.length === c) {
        if (t1.length + t2.length + b1.length + b2.length === 2 * c) b2.shift();
        victims.push(replace(false));
      }
      t1.push(x);
      return victims;
    },
    resident: () => [...t1, ...t2],
  };
}
