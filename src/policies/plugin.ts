import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Checked } from './checked.ts';
import type { EvictionPolicy, PolicyEntry } from './policy.ts';

/** Policies that are no part of this program: a file each, with a {@link PolicyEntry} as its default export. */
const plugins = new Map<string, PolicyEntry>();

const FILE = /^(.+?\.[cm]?[jt]s)(?::(.*))?$/s;
const TYPESCRIPT = /\.[cm]?ts$/;

/** Splits `./mine.js:param=value` into the file and its settings. @returns null if it names no file */
export function splitPlugin(spec: string): [string, ...string[]] | null {
  const match = FILE.exec(spec);
  if (match === null) return null;
  return [match[1]!, ...(match[2] === undefined ? [] : match[2].split(':'))];
}

/** The policy in a file that {@link loadPlugins} has loaded. */
export function pluginEntry(path: string): PolicyEntry | undefined {
  return plugins.get(path);
}

/** What is wrong with a policy in a file. */
export class PluginError extends Error {
  override readonly name: string = 'PolicySpecError';
}

/**
 * Loads the policies among `specs` that are named by a file. TypeScript is loaded as Node loads it, or where Node can't, by the package `typescript`.
 * @throws PluginError
 */
export async function loadPlugins(specs: readonly string[]): Promise<void> {
  for (const spec of specs) {
    const path = splitPlugin(spec)?.[0];
    if (path === undefined || plugins.has(path)) continue;
    if (!existsSync(path)) throw new PluginError(`policy '${spec}': there is no file ${path}`);
    plugins.set(path, checked(path, await load(path)));
  }
}

let typescript = false;

async function load(path: string): Promise<Record<string, unknown>> {
  const url = pathToFileURL(resolve(path)).href;
  try {
    const native = 'typescript' in process.features && process.features.typescript !== false;
    // From our own TypeScript sources, as in unit tests, whatever loads them loads a policy, too.
    if (TYPESCRIPT.test(path) && !native && !typescript && import.meta.url.endsWith('.js')) {
      register(new URL('./typescript-loader.js', import.meta.url));
      typescript = true;
    }
    return (await import(url)) as Record<string, unknown>;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new PluginError(`policy '${path}': can't be loaded: ${what}`, { cause: error });
  }
}

/** A module's default export, if it is a policy. It is tried with a cache of one page. */
function checked(path: string, module: Record<string, unknown>): PolicyEntry {
  const fail = (what: string): never => {
    throw new PluginError(`policy '${path}': ${what}`);
  };
  const entry = module.default as Partial<PolicyEntry> | undefined;
  if (typeof entry !== 'object' || entry === null || typeof entry.create !== 'function')
    return fail('its default export is no policy: { create(context), defaults: {} }');
  const { defaults = {}, needsFuture = false, needsIds = false } = entry;
  for (const [name, value] of Object.entries(defaults))
    if (typeof value !== 'number') fail(`the default of its parameter '${name}' is no number`);
  const create = entry.create.bind(entry);
  let policy: EvictionPolicy | undefined;
  let outcome: unknown;
  try {
    const nextUse = needsFuture ? { nextUse: new Uint32Array([0xffffffff]) } : {};
    policy = create({ capacityPages: 1, universe: 1, seed: 0, params: { ...defaults }, ...nextUse });
    outcome = policy?.access?.(0);
  } catch (error) {
    return fail(`fails with a cache of one page: ${(error as Error).message}`);
  }
  if (typeof policy?.access !== 'function' || typeof policy.check !== 'function')
    return fail('create() makes no policy: it lacks access() or check()');
  if (!(policy.victims instanceof Uint32Array)) fail('its victims are no Uint32Array');
  if (outcome !== 0) fail(`the first access of an empty cache answers ${String(outcome)}, not 0`);
  if (policy.residentPages !== 1) fail(`its residentPages are ${policy.residentPages} after the first access, not 1`);
  return {
    create: (context) => new Checked(create(context), path, context),
    defaults,
    needsFuture,
    needsIds,
  };
}
