/** The command line as it can be pasted into a shell. */
export function commandLine(args: readonly string[] = process.argv.slice(2)): string {
  return ['npx foliolab', ...args.map(quote)].join(' ');
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
