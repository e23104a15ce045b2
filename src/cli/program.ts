import { Command } from 'commander';
import { VERSION } from '../version.ts';

/** One file per verb, loaded when it is wanted: charts take longer to load than an image to open. */
const verbs = {
  demo: async () => (await import('./demo.ts')).demoCommand(),
  image: async () => (await import('./image.ts')).imageCommand(),
  index: async () => (await import('./index.ts')).indexCommand(),
  mrc: async () => (await import('./mrc.ts')).mrcCommand(),
  record: async () => (await import('./record.ts')).recordCommand(),
  replay: async () => (await import('./replay.ts')).replayCommand(),
  report: async () => (await import('./report.ts')).reportCommand(),
  sweep: async () => (await import('./sweep.ts')).sweepCommand(),
  trace: async () => (await import('./trace.ts')).traceCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
} satisfies Record<string, () => Promise<Command>>;

/**
 * The command line: of the verb that is asked for, or the whole of it.
 * @param args what follows the program's name
 */
export async function program(args: readonly string[]): Promise<Command> {
  const command = new Command('foliolab')
    .description('Replays recorded file accesses of containers against page-cache designs, over real EROFS images.')
    .version(VERSION)
    .option('--debug', 'print the stack of an error')
    .configureOutput({
      outputError: (text, write) =>
        write(
          `foliolab: ${text
            .replace(/^error: /, '')
            .trim()
            .replaceAll(/\s*\n\s*/g, ' ')}\n`,
        ),
    })
    .showHelpAfterError(false);
  const asked = Object.entries(verbs).filter(([name]) => name === args.find((arg) => !arg.startsWith('-')));
  for (const [, load] of asked.length > 0 ? asked : Object.entries(verbs)) {
    const verb = await load();
    inherit(verb, command);
    command.addCommand(verb);
  }
  return command;
}

function inherit(verb: Command, from: Command): void {
  verb.copyInheritedSettings(from);
  for (const child of verb.commands) inherit(child, from);
}
