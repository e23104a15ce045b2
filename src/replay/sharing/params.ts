import { UsageError } from '../../error.ts';

/** @throws UsageError when a parameter's value is none of those it may take */
export function oneOf(model: string, param: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    throw new UsageError(`sharing model '${model}': ${param} is one of ${allowed.join(', ')}, not '${value}'`);
}
