/** Text as the exporters need it: safe to print, measured in columns, wrapped, and commands broken so that pasting works. */

// Control characters, bidirectional overrides, line separators, lone surrogates, and the code points XML refuses.
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]/gu;

/** A name from a file we did not write, on one line and without anything a terminal, a browser or XML would act on. */
export function clean(text: string): string {
  return text.replace(UNSAFE, '\ufffd');
}

/** The same in printable ASCII: anything else is spelt `\u{1F600}`. */
export function ascii(text: string): string {
  return text
    .replace(/[—–]/g, '-')
    .replace(/×/g, 'x')
    .replace(/[^\x20-\x7e]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16).toUpperCase()}}`);
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /\p{Mn}|\p{Me}/u;

/** Terminal columns of one grapheme or code point. */
function columnsOf(char: string): number {
  return WIDE.test(char) ? 2 : NO_WIDTH.test(char) ? 0 : 1;
}

/** At most `limit` columns; a longer text loses its middle, since names differ at both ends. */
export function clip(text: string, limit: number, mark = '…'): string {
  const chars = [...text];
  let width = 0;
  for (const c of chars) width += columnsOf(c);
  if (width <= limit) return text;
  const room = limit - mark.length;
  const tailRoom = room >> 1;
  let head = '';
  let tail = '';
  let used = 0;
  for (let i = chars.length - 1; i >= 0 && used + columnsOf(chars[i]!) <= tailRoom; i--) {
    tail = chars[i]! + tail;
    used += columnsOf(chars[i]!);
  }
  for (let i = 0; i < chars.length && used + columnsOf(chars[i]!) <= room; i++) {
    head += chars[i]!;
    used += columnsOf(chars[i]!);
  }
  return head + mark + tail;
}

/** ASCII prose in lines of at most `width`; a word longer than a line is cut. */
export function wrap(text: string, width: number, indent = '', hanging = indent): string[] {
  const lines: string[] = [];
  let line = indent;
  let empty = true;
  for (let word of text.split(/\s+/)) {
    if (word === '') continue;
    if (
      !empty &&
      line.length + 1 + word.length > width &&
      (word.length <= width - hanging.length || line.length >= width - 8)
    ) {
      lines.push(line);
      line = hanging;
      empty = true;
    }
    if (!empty) line += ' ';
    while (line.length + word.length > width) {
      const room = width - line.length;
      lines.push(line + word.slice(0, room));
      word = word.slice(room);
      line = hanging;
    }
    line += word;
    empty = false;
  }
  if (!empty || lines.length === 0) lines.push(line);
  return lines.map((l) => l.trimEnd());
}

// One escape of $'…': never broken in two.
const ANSI_ESCAPE = /^\\(?:x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c[\x20-\x7e]|[\x20-\x7e])/;

/**
 * A shell command in ASCII lines of at most `width`, equal to the original when pasted. Breaks fall between words where they can;
 * a longer word is continued in the first column. What isn't printable ASCII becomes `$'\xHH'` (bash, zsh, ksh).
 */
export function wrapCommand(command: string, width: number, indent = '  ', hanging = '      '): string[] {
  type Quote = '' | "'" | '"' | "$'";
  type Atom = { text: string; quote: Quote };
  const words: Atom[][] = [];
  let word: Atom[] | null = null;
  let quote: Quote = '';
  const bytes = new TextEncoder();
  const chars = [...command];
  for (let i = 0; i < chars.length; i++) {
    const c = chars[i]!;
    if (quote === '' && (c === ' ' || c === '\t' || c === '\n')) {
      word = null;
      continue;
    }
    if (word === null) {
      word = [];
      words.push(word);
    }
    // Quotes are dropped here and written again around the atoms they hold.
    if (quote === '' && (c === "'" || c === '"')) {
      quote = c;
      word.push({ text: '', quote });
    } else if (quote === '' && c === '$' && chars[i + 1] === "'") {
      quote = "$'";
      word.push({ text: '', quote });
      i++;
    } else if ((quote === "'" || quote === '"') && c === quote) quote = '';
    else if (quote === "$'" && c === "'") quote = '';
    else if (c === '\\' && quote !== "'" && i + 1 < chars.length) {
      const rest = chars.slice(i, i + 10).join('');
      const found = quote === "$'" ? ANSI_ESCAPE.exec(rest) : /^\\[\x20-\x7e]/.exec(rest);
      if (found) {
        // An escaped space at the end of a line would be lost in the mail.
        word.push(found[0] === '\\ ' && quote === '' ? { text: ' ', quote: "'" } : { text: found[0], quote });
        i += found[0].length - 1;
      } else if (chars[i + 1] === '\n' && quote !== "$'") i++;
      else if (quote !== '') word.push({ text: '\\\\', quote });
    } else if (/[\x20-\x7e]/.test(c)) word.push({ text: c, quote });
    else {
      for (const byte of bytes.encode(c)) word.push({ text: `\\x${byte.toString(16).padStart(2, '0')}`, quote: "$'" });
    }
  }

  // What closes a quote: one column, needed before a break and at the end of a word.
  const close = (q: Quote) => (q === '' ? '' : q === "$'" ? "'" : q);
  const lines: string[] = [];
  let line = indent;
  let fresh = true;
  const written = (atoms: Atom[]) => {
    let plain = '';
    let q: Quote = '';
    for (const atom of atoms) {
      if (atom.quote !== q) plain += close(q) + atom.quote;
      q = atom.quote;
      plain += atom.text;
    }
    return plain + close(q);
  };
  const parts = words.filter((atoms) => atoms.length > 0);
  if (parts.length === 0) return [''];
  for (let w = 0; w < parts.length; w++) {
    const atoms = parts[w]!;
    const plain = written(atoms);
    // An option and its value stay on one line where a line holds both.
    let together = plain.length;
    if (plain.startsWith('-') && w + 1 < parts.length) {
      const value = written(parts[w + 1]!);
      const both = plain.length + 1 + value.length;
      if (!value.startsWith('-') && hanging.length + both + 2 <= width) together = both;
    }
    // " \" ends a line that goes on with another word.
    if (!fresh && line.length + 1 + together + 2 > width) {
      lines.push(`${line} \\`);
      line = hanging;
      fresh = true;
    }
    if (fresh && line.length + plain.length + 2 <= width) {
      line += plain;
      fresh = false;
      continue;
    }
    if (!fresh) line += ' ';
    if (!fresh && line.length + plain.length + 2 <= width) {
      line += plain;
      continue;
    }
    let open: Quote = '';
    for (const atom of atoms) {
      let add = atom.quote === open ? atom.text : close(open) + atom.quote + atom.text;
      // Room for the closing quote, the backslash, and " \" after the word's last atom.
      if (line.length + add.length + 4 > width) {
        lines.push(`${line}${close(open)}\\`);
        line = '';
        add = atom.quote + atom.text;
      }
      line += add;
      open = atom.quote;
    }
    line += close(open);
    fresh = false;
  }
  lines.push(line);
  return lines;
}

/** `5.0%`; a dash where there is nothing to divide by. */
export function percent(share: number | null, digits = 1): string {
  if (share === null || !Number.isFinite(share)) return '—';
  const text = (100 * share).toFixed(digits);
  return `${Number(text) === 0 ? (0).toFixed(digits) : text}%`;
}

/** `physical-index:layout=chunk-dedup:chunk=64KiB` as the model and its values, which is what tells variants apart; null without parameters. */
export function variantLines(model: string): [string, string] | null {
  const [base = '', ...settings] = model.split(':');
  if (settings.length === 0) return null;
  return [base, settings.map((setting) => setting.slice(setting.indexOf('=') + 1)).join(' ')];
}
