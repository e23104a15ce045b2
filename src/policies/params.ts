import type { PolicyContext } from './policy.ts';

/** @throws RangeError when the parameter isn't an integer of that range */
export function integerParam({ params }: PolicyContext, name: string, min: number, max: number): number {
  const value = params[name];
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${value}`);
  }
  return value;
}

/** @throws RangeError when the parameter isn't a number of that range */
export function numberParam({ params }: PolicyContext, name: string, min: number, max: number): number {
  const value = params[name];
  if (!(value >= min && value <= max))
    throw new RangeError(`${name} must be a number from ${min} to ${max}, not ${value}`);
  return value;
}
