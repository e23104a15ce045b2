import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finding, truthChecks } from '../../../src/replay/report/facts.ts';
import { toMail } from '../../../src/replay/report/mail.ts';
import { hostileResult, realisticResult, smallResult } from './fixture.ts';

function expectMail(text: string): void {
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.split('\n')) {
    expect(line.length).toBeLessThanOrEqual(72);
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(line).toBe(line.trimEnd());
  }
}

describe('a mail', () => {
  it('is ASCII in at most 72 columns, for ordinary and for hostile names', () => {
    for (const result of [realisticResult(), hostileResult(), smallResult()]) expectMail(toMail(result));
  });

  it('is ASCII in at most 72 columns for any text in any place', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.string({ unit: fc.constantFrom('a', "'", '"', '\\', ' ', '$', '-'), maxLength: 300 }),
    );
    fc.assert(
      fc.property(fc.array(text, { minLength: 12, maxLength: 12 }), fc.nat(2 ** 40), (t, pages) => {
        const result = realisticResult();
        expectMail(
          toMail({
            ...result,
            title: t[0]!,
            command: t[1]!,
            versions: { foliolab: t[2]!, node: t[3]! },
            inputs: [{ path: t[4]!, sha256: t[5]!, kind: 'trace' }],
            parameters: { [t[6]!]: t[7]! },
            notes: [t[8]!],
            rows: result.rows.map((r, i) => ({
              ...r,
              workload: i % 3 === 0 ? t[9]! : r.workload,
              sharing: i % 4 === 0 ? t[10]! : r.sharing,
              policy: i % 5 === 0 ? t[11]! : r.policy,
              memory: i % 7 === 0 && r.capacityPages !== null ? t[0]! : r.memory,
              residentPages: i % 6 === 0 ? pages : r.residentPages,
            })),
            truth: [{ workload: t[9]!, sharing: t[10]!, residentPages: pages, source: t[8]! }],
          }),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('has each sha256 in full on a line of its own', () => {
    const result = realisticResult();
    const lines = toMail(result).split('\n');
    for (const input of result.inputs) expect(lines).toContain(`    ${input.sha256}`);
  });

  it('finds 63.3% for python-sci a1+b1+a2, as (86506 - 31723) / 86506 does by hand', () => {
    const [first, second] = finding(realisticResult());
    expect(first).toBe(
      'The fingerprint model saves 4.4% to 63.3% of the resident page cache against per-inode in 10 workloads ' +
        '(median 40.6%), most in python-sci a1+b1+a2: 337.9 -> 123.9 MiB.',
    );
    // 33531 / 33485 - 1
    expect(second).toBe(
      'Against 5 measurements of a real kernel under hardlink the model is off by at most 0.14% ' +
        "(tfjs a1+b1+a2: 33531 pages against the kernel's 33485).",
    );
  });

  it('speaks of fills alone where there is demand too, and holds a kernel against demand only through readahead', () => {
    const result = realisticResult();
    // A tenth of the pages, as if readahead had brought in the rest.
    const touched = result.rows
      .filter((r) => r.capacityPages === null)
      .map((r) => ({
        ...r,
        from: 'demand' as const,
        residentPages: Math.round(r.residentPages / 10),
        bytesSavedVsPerInode: r.sharing === 'per-inode' ? 0 : 4096,
      }));
    const rows = [...result.rows, ...touched];
    const without = { ...result, rows, parameters: { ...result.parameters, readahead: 'none' } };
    expect(finding(without).map((s) => s.replace(', fills', ''))).toEqual(finding(result));
    expect(truthChecks(without).map((c) => c.group.from)).toEqual(Array(5).fill('fills'));
    const through = { ...result, rows, parameters: { ...result.parameters, readahead: 'linux' } };
    expect(truthChecks(through).filter((c) => c.group.from === 'demand')).toHaveLength(5);
    expect(finding(through)[1]).toContain('off by at most 90.0');
    const alone = finding({ ...without, rows: touched });
    expect(alone[0]).toContain('of the pages that programs touched against per-inode');
    expect(alone.join(' ')).not.toContain('a real kernel');
    for (const some of [without, through, { ...without, rows: touched }]) expectMail(toMail(some));
  });

  it('shortens a long hit ratio table to the sizes that matter', () => {
    const result = realisticResult();
    const policies = ['lru', 'sieve', 'fifo', 'clock'];
    const rows = policies.flatMap((policy) => result.rows.map((r) => ({ ...r, policy })));
    const text = toMail({ ...result, rows });
    expectMail(text);
    // Three workloads, four policies: one line each.
    expect(text.match(/^(?:redis|nginx|postgres) a1\+b1\+a2 +(?:lru|sieve|fifo|clock) /gm)).toHaveLength(12);
  });

  it('has a finding of two sentences whatever rows there are', () => {
    const result = realisticResult();
    const { truth: _, ...untrue } = result;
    const only = (keep: (r: (typeof result.rows)[number]) => boolean) => ({
      ...untrue,
      rows: result.rows.filter(keep),
    });
    for (const some of [
      result,
      untrue,
      smallResult(),
      only((r) => r.capacityPages !== null),
      only((r) => r.sharing === 'per-inode'),
      only((r) => r.sharing === 'page-content'),
      only((r) => r.capacityPages !== null && r.sharing === 'hardlink'),
      only(() => false),
    ]) {
      const sentences = finding(some);
      expect(sentences).toHaveLength(2);
      for (const s of sentences) {
        expect(s).toMatch(/^[A-Z].*\.$/s);
        expect(s).not.toMatch(/NaN|undefined|null|Infinity/);
      }
      expectMail(toMail(some));
    }
  });

  it('reads as it always did', () => {
    expect(toMail(smallResult())).toMatchInlineSnapshot(`
      "Page-cache sharing of five services
      ===================================

      The fingerprint model saves 23.8% of the resident page cache against
      per-inode in redis a1+b1: 28.6 -> 21.8 MiB. Sharing between mounts saves
      at most 50.0% with 2 mounts; duplicates within an image come on top.

      Resident page cache in MiB and share saved against per-inode, memory
      unlimited, from fills:

      workload         per-inode   fingerprint
      ----------------------------------------
      redis a1+b1           28.6    21.8 23.8%

      Ceiling of sharing between mounts (1 - 1/mounts): 50.0% for 2 mounts;
      duplicates within an image come on top.

      Method
      ------
      A page is 4096 bytes of regular-file data. Saved is the resident memory
      of per-inode less that of the model, at the end of the replay.
      from fills: what the recorded kernel put into its page cache and took
        out of it.

      A cached page is keyed by:
        - per-inode: superblock, inode, page index (mainline)
        - fingerprint: domain, fingerprint of the whole file, page index

      To know when reading the numbers:
        - Fingerprints were computed from the page digests of each file, as
          mkfs would write them.
        - physical-index was not replayed for the trios: the index of the
          third image has no layout.
        - Directories, metadata and the managed cache of compressed images are
          not counted.

      Parameters:
        fingerprints: computed
        from: fills
        policies: ["lru","sieve"]
        readahead: recorded
        seed: 1

      Inputs (sha256)
      ---------------
        trace redis/rec/multi-plain/events.csv.zst
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0123456789abcdef0123456789abcdef
        index redis/a.index
          bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        index redis/b.index
          cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc

      To reproduce
      ------------
        foliolab replay --trace redis/rec/multi-plain/events.csv.zst \\
            --mount a1=redis/a.index --mount b1=redis/b.index \\
            --mount a2=redis/a.index --sharing \\
            per-inode,hardlink,fingerprint,physical-index,page-content \\
            --policy lru,sieve \\
            --memory unlimited,4MiB,8MiB,16MiB,32MiB,64MiB --from fills \\
            --json

      foliolab 0.1.0, Node.js v20.19.0
      "
    `);
  });
});
