import { Arc } from './arc.ts';
import { Cacheus } from './cacheus.ts';
import { Car } from './car.ts';
import { Clock } from './clock.ts';
import { ClockPro } from './clock-pro.ts';
import { Fifo } from './fifo.ts';
import { Gdsf } from './gdsf.ts';
import { Hyperbolic } from './hyperbolic.ts';
import { LeCaR } from './lecar.ts';
import { Lfu } from './lfu.ts';
import { Lfuda } from './lfuda.ts';
import { Lhd } from './lhd.ts';
import { LinuxLru } from './linux-lru.ts';
import { Lirs } from './lirs.ts';
import { Lru } from './lru.ts';
import { LruK } from './lru-k.ts';
import { Mglru } from './mglru.ts';
import { Mru } from './mru.ts';
import { Opt } from './opt.ts';
import { pluginEntry, splitPlugin } from './plugin.ts';
import type { EvictionPolicy, PolicyContext, PolicyEntry } from './policy.ts';
import { QdLpFifo } from './qd-lp-fifo.ts';
import { Random } from './random.ts';
import { S3Fifo } from './s3-fifo.ts';
import { S3FifoCaffeine } from './s3-fifo-caffeine.ts';
import { SecondChance } from './second-chance.ts';
import { Sieve } from './sieve.ts';
import { Slru } from './slru.ts';
import { TwoQ } from './two-q.ts';
import { TwoQSimple } from './two-q-simple.ts';
import { WTinyLfu } from './w-tinylfu.ts';

export { NEVER, nextUses } from './next-use.ts';
export { type EvictionPolicy, HIT, type PolicyContext, type PolicyEntry } from './policy.ts';

/** Every eviction policy by name. A new policy is one file and one line here. */
export const policies = {
  '2q': { create: (context: PolicyContext) => new TwoQ(context), defaults: { in: 0.25, out: 0.5 } },
  '2q-simple': { create: (context: PolicyContext) => new TwoQSimple(context), defaults: { in: 0.25 } },
  arc: { create: (context: PolicyContext) => new Arc(context), defaults: {} },
  cacheus: { create: (context: PolicyContext) => new Cacheus(context), defaults: {} },
  car: { create: (context: PolicyContext) => new Car(context), defaults: {} },
  clock: { create: (context: PolicyContext) => new Clock(context), defaults: { bits: 1 } },
  'clock-pro': { create: (context: PolicyContext) => new ClockPro(context), defaults: { cold: 0.01 } },
  fifo: { create: (context: PolicyContext) => new Fifo(context), defaults: {} },
  gdsf: { create: (context: PolicyContext) => new Gdsf(context), defaults: {} },
  hyperbolic: { create: (context: PolicyContext) => new Hyperbolic(context), defaults: { sample: 64 } },
  lecar: { create: (context: PolicyContext) => new LeCaR(context), defaults: { rate: 0.45, discount: 0.005 } },
  lfu: { create: (context: PolicyContext) => new Lfu(context), defaults: {} },
  lfuda: { create: (context: PolicyContext) => new Lfuda(context), defaults: {} },
  lhd: {
    create: (context: PolicyContext) => new Lhd(context),
    defaults: { sample: 32, admitted: 8, ages: 20_000, every: 2 ** 20 },
  },
  'linux-lru': { create: (context: PolicyContext) => new LinuxLru(context), defaults: { batch: 32 } },
  lirs: { create: (context: PolicyContext) => new Lirs(context), defaults: { hir: 0.01, demote: 1 } },
  lru: { create: (context: PolicyContext) => new Lru(context), defaults: {} },
  'lru-k': { create: (context: PolicyContext) => new LruK(context), defaults: { k: 2 } },
  mglru: { create: (context: PolicyContext) => new Mglru(context), defaults: { batch: 64, goal: 32 } },
  mru: { create: (context: PolicyContext) => new Mru(context), defaults: {} },
  opt: { create: (context: PolicyContext) => new Opt(context), defaults: {}, needsFuture: true },
  'qd-lp-fifo': {
    create: (context: PolicyContext) => new QdLpFifo(context),
    defaults: { small: 0.1, ghost: 0.9, threshold: 1 },
  },
  random: { create: (context: PolicyContext) => new Random(context), defaults: {} },
  's3-fifo': {
    create: (context: PolicyContext) => new S3Fifo(context),
    defaults: { small: 0.1, ghost: 0.9, threshold: 2 },
  },
  's3-fifo-caffeine': {
    create: (context: PolicyContext) => new S3FifoCaffeine(context),
    defaults: { small: 0.1, ghost: 0.9, threshold: 1, max: 3 },
  },
  'second-chance': { create: (context: PolicyContext) => new SecondChance(context), defaults: {} },
  sieve: { create: (context: PolicyContext) => new Sieve(context), defaults: {} },
  slru: { create: (context: PolicyContext) => new Slru(context), defaults: { segments: 4 } },
  'w-tinylfu': {
    create: (context: PolicyContext) => new WTinyLfu(context),
    defaults: { window: 0.01, ratio: 4 },
    needsIds: true,
  },
} satisfies Record<string, PolicyEntry>;

/** A policy as asked for: a name and all its parameters. */
export interface PolicySpec {
  /** Name in {@link policies}, or the file of a policy of one's own. */
  readonly name: string;
  /** The shortest text that parses to the same policy: the name, then the parameters that differ from their defaults. */
  readonly label: string;
  /** Effective parameters, defaults included. */
  readonly params: Readonly<Record<string, number>>;
  /** Whether {@link create} wants the next uses of the references to come. */
  readonly needsFuture: boolean;
  /** Whether {@link create} wants the trace's ids, where it has some. */
  readonly needsIds: boolean;
  /** @param nextUse see {@link PolicyContext.nextUse} @param ids see {@link PolicyContext.ids} */
  create(
    capacityPages: number,
    universe: number,
    seed: number,
    nextUse?: Uint32Array,
    ids?: Uint32Array,
  ): EvictionPolicy;
}

/** The text given to {@link parsePolicy} names no policy. */
export class PolicySpecError extends Error {
  override readonly name = 'PolicySpecError';
  /** The text as given. */
  readonly spec: string;

  constructor(spec: string, problem: string) {
    super(`policy '${spec}': ${problem}`);
    this.spec = spec;
  }
}

const DECIMAL = /^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/**
 * Reads `name` or `name:param=value:param=value`, such as `lru` or `clock:bits=2`. The name may be that of a file, such as `./mine.js`, which
 * {@link loadPlugins} has loaded.
 * @throws PolicySpecError when the policy or a parameter is unknown, given twice, or has a value the policy refuses
 */
export function parsePolicy(spec: string): PolicySpec {
  const plugin = splitPlugin(spec);
  const [name, ...settings] = plugin ?? spec.split(':');
  const entry: PolicyEntry | undefined =
    plugin === null
      ? Object.hasOwn(policies, name)
        ? policies[name as keyof typeof policies]
        : undefined
      : pluginEntry(name);
  if (entry === undefined) {
    if (plugin !== null) throw new PolicySpecError(spec, 'its file has not been loaded');
    throw new PolicySpecError(
      spec,
      `unknown policy '${name}'; known: ${Object.keys(policies).join(', ')}; a policy of your own is named by its file, such as ./mine.js`,
    );
  }
  const { create, defaults, needsFuture = false, needsIds = false } = entry;
  const known = Object.keys(defaults);
  const given: Record<string, number> = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals < 0) throw new PolicySpecError(spec, `expected param=value, found '${setting}'`);
    const param = setting.slice(0, equals);
    const text = setting.slice(equals + 1);
    if (!known.includes(param)) {
      const hint = known.length === 0 ? `${name} takes none` : `${name} takes ${known.join(', ')}`;
      throw new PolicySpecError(spec, `unknown parameter '${param}'; ${hint}`);
    }
    if (Object.hasOwn(given, param)) throw new PolicySpecError(spec, `parameter '${param}' is given twice`);
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) throw new PolicySpecError(spec, `'${param}' must be a decimal number, not '${text}'`);
    given[param] = value;
  }

  const params = Object.freeze({ ...defaults, ...given });
  // Ranges are the policy's own business: a cache of one page tells now what would otherwise fail inside a sweep.
  try {
    create({ capacityPages: 1, universe: 1, seed: 0, params, nextUse: new Uint32Array(0) });
  } catch (error) {
    throw new PolicySpecError(spec, (error as Error).message);
  }
  const changed = known.filter((param) => params[param] !== defaults[param]);
  return {
    name,
    label: [name, ...changed.map((param) => `${param}=${params[param]}`)].join(':'),
    params,
    needsFuture,
    needsIds,
    create: (capacityPages, universe, seed, nextUse, ids) =>
      create({ capacityPages, universe, seed, params, nextUse, ids }),
  };
}
