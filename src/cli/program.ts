import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { demoCommand } from './demo.ts';
import { imageCommand } from './image.ts';
import { indexCommand } from './index.ts';
import { replayCommand } from './replay.ts';
import { reportCommand } from './report.ts';

/** The whole command line, one file per verb. */
export function program(): Command {
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
  for (const verb of [demoCommand(), imageCommand(), indexCommand(), replayCommand(), reportCommand()]) {
    verb.copyInheritedSettings(command);
    for (const child of verb.commands) child.copyInheritedSettings(command);
    command.addCommand(verb);
  }
  return command;
}
