import { Command } from 'commander';
import { finding, headlineTable, wantsColor } from '../replay/report/index.ts';
import { decodeBundledImage, runDemo } from '../studies/demo.ts';
import { commandLine } from './command-line.ts';
import { checkFolder } from './lists.ts';
import { writeReports } from './replay.ts';

/** `demo`: the main job on bundled real data. */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'what sharing would save on five real services: replays the bundled recordings and writes every report',
    )
    .option('-o, --output <dir>', 'where the reports go', 'results/demo')
    .action(async ({ output }: { output: string }) => {
      await checkFolder(output);
      const progress = progressLine();
      const decoded = await decodeBundledImage();
      const result = await runDemo(commandLine(), (service) => progress(`replaying ${service} …`));
      progress('drawing …');
      const files = await writeReports(output, result);
      progress('');
      process.stdout.write(`${headlineTable(result, { color: wantsColor(process.stdout) })}\n\n`);
      process.stdout.write(
        `${finding(result).join('\n')}\nHit ratios under limited memory, who is charged, and the notes (why a cell is empty, what is left out): report.html.\n`,
      );
      process.stdout.write(
        `\nDecoded ${decoded.path} on the spot: ${decoded.files} files, ${decoded.bytes} bytes, each as sha256sum saw it.\n`,
      );
      process.stdout.write(`\nWritten:\n${files.map((file) => `  ${file}\n`).join('')}`);
    });
}

/** One line on stderr that is overwritten, where stderr is a terminal; nothing elsewhere. */
function progressLine(): (text: string) => void {
  if (!process.stderr.isTTY) return () => {};
  return (text) => process.stderr.write(`\r\x1b[K${text}`);
}
