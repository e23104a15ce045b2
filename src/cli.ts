#!/usr/bin/env node
import { type Command, CommanderError } from 'commander';
import { program } from './cli/program.ts';
import { UsageError } from './error.ts';

const EXIT_BAD_DATA = 1;
const EXIT_USAGE = 2;

/** Runs the command line; every error is one line on stderr. */
async function main(): Promise<void> {
  const foliolab = await program(process.argv.slice(2));
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(
      `foliolab: standard output: ${error.code === 'ENOSPC' ? 'no space left on the device' : error.message}\n`,
    );
    process.exit(EXIT_BAD_DATA);
  });
  try {
    await everyCommand(foliolab, (command) => command.exitOverride()).parseAsync(process.argv);
  } catch (error) {
    process.exitCode = report(error, process.argv.includes('--debug'));
  }
}

function report(error: unknown, debug: boolean): number {
  // commander has printed its own line already
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  // A PolicySpecError by its name, so that the policies are loaded by the verbs that want them alone.
  const usage = error instanceof UsageError || (error instanceof Error && error.name === 'PolicySpecError');
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`foliolab: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return usage ? EXIT_USAGE : EXIT_BAD_DATA;
}

function everyCommand(command: Command, change: (command: Command) => void): Command {
  change(command);
  for (const child of command.commands) everyCommand(child, change);
  return command;
}

await main();
