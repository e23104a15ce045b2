import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, clean, clip, percent, wrap, wrapCommand } from '../../../src/replay/report/text.ts';
import { hasTool, need } from '../../require.ts';
import { HOSTILE_NAMES } from './fixture.ts';

describe('clean and ascii', () => {
  it('leave nothing that a terminal, XML or a bidirectional reader acts on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (s) => {
        expect(clean(s)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
        expect(clean(s)).not.toMatch(/\p{Cs}/u);
        expect(ascii(clean(s))).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
  });
});

describe('clip', () => {
  it('keeps both ends of a name and never exceeds the limit', () => {
    expect(clip('images/a.plain.erofs', 11)).toBe('image…erofs');
    expect(clip('short', 11)).toBe('short');
    expect(clip('日本語のコンテナ名', 9)).toBe('日本…ナ名');
  });
});

describe('percent', () => {
  it('never prints a negative zero, and a dash for no share', () => {
    expect(percent(-0.0001)).toBe('0.0%');
    expect(percent(0.4876)).toBe('48.8%');
    expect(percent(null)).toBe('—');
  });
});

describe('wrap', () => {
  it('keeps every line within the width and every character that is not a space', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '-'), maxLength: 400 });
    fc.assert(
      fc.property(text, fc.integer({ min: 20, max: 80 }), (s, width) => {
        const lines = wrap(s, width, '  ', '    ');
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
        expect(lines.join('').replace(/\s/g, '')).toBe(s.replace(/\s/g, ''));
      }),
    );
  });
});

describe('wrapCommand', () => {
  const bash = need('bash', hasTool('bash'));
  const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  const argv = (script: string) =>
    execFileSync('bash', ['-c', `words() { printf '%s\\0' "$@"; }; ${script}`], { encoding: 'utf8' });

  it.skipIf(!bash)('gives the shell the same words as the command in one line', { timeout: 120_000 }, () => {
    const word = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 120 }),
      fc.string({
        unit: fc.constantFrom('a', '/', '-', "'", '"', '\\', '$', '`', ' ', '\n', 'é', '!', '#'),
        maxLength: 160,
      }),
      fc.constantFrom(...HOSTILE_NAMES),
    );
    const usable = word.map((w) => w.replace(/\0|\p{Cs}/gu, ''));
    fc.assert(
      fc.property(fc.array(usable, { minLength: 1, maxLength: 6 }), (words) => {
        const lines = wrapCommand(`words ${words.map(quote).join(' ')}`, 72);
        for (const line of lines) {
          expect(line.length).toBeLessThanOrEqual(72);
          expect(line).toMatch(/^[\x20-\x7e]*$/);
        }
        expect(argv(lines.join('\n'))).toBe(`${words.join('\0')}\0`);
      }),
      { numRuns: 150 },
    );
  });

  it.skipIf(!bash)('keeps double quotes, escapes and substitutions what they are', () => {
    const long = 'x'.repeat(90);
    for (const command of [
      `words "a b" c\\ d "\\"q\\"" $'tab\\there\\x41' "$HOME/${long}" a\\\n  b`,
      `words "$(printf '%s' ${long})" \${HOME} '' ""`,
      `words é"é"'é' \\é "\\é" $'\\é'`,
    ])
      expect(argv(wrapCommand(command, 72).join('\n'))).toBe(argv(command));
  });

  it('keeps an option and its value on one line', () => {
    const lines = wrapCommand(`foliolab replay --trace ${'t'.repeat(40)} --mount ${'m'.repeat(40)}`, 72);
    expect(lines).toEqual([`  foliolab replay --trace ${'t'.repeat(40)} \\`, `      --mount ${'m'.repeat(40)}`]);
  });
});
