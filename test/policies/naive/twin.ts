export interface Naive {
  access(page: number): number[] | null;
  resident(): number[];
}

export type Params = Readonly<Record<string, number>>;

/** @param pages the references to come, for those who know the future */
export type MakeNaive = (capacityPages: number, params: Params, pages: readonly number[], seed: number) => Naive;

/** Takes the value out of the array. */
export function take<T>(array: T[], value: T): boolean {
  const at = array.indexOf(value);
  if (at >= 0) array.splice(at, 1);
  return at >= 0;
}
