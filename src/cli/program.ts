/** The command line: names, flags and help of every command. What a command does is loaded only when it is called. */
import { Command, Option } from 'commander';
import { HYPERVISORS, LOG_FORMATS, LOG_LEVELS } from '../config/choices.js';
import type { BootOption } from '../control/boot-options.js';
import { visible, visibleLines } from '../errors.js';
import { OWN_PORT } from '../signals/report-ways.js';
import type { AskFlags } from './commands/ask.js';
import type { DoctorFlags } from './commands/doctor.js';
import type { ReleaseFlags } from './commands/release.js';
import type { AgentFlags, ReportFlags, RunFlags } from './flags.js';

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** For what may have words of others in it. */
const printVisible = (text: string): void => {
  print(visibleLines(text));
};

/** A command that ends without an error sets its exit code here. */
const exitWith = (isGood: boolean): void => {
  process.exitCode = isGood ? 0 : 1;
};

const CONFIG: readonly [string, string] = [
  '--config <file>',
  'configuration file (default: /etc/selfballoon.toml, if there)',
];
const SOCKET: readonly [string, string] = ['--socket <path>', "the daemon's unix socket"];

/** The whole program. */
export function createProgram(version: string): Command {
  const program = new Command('selfballoon')
    .description('Gives every virtual machine the memory it needs now, and no more.')
    .version(version)
    .showHelpAfterError('(add --help for what is possible)');
  addRun(program);
  addReport(program);
  addTalk(program);
  addChecks(program);
  return program;
}

type GivenRunFlags = Omit<RunFlags, 'bootOptions'> & {
  readonly selfballooning?: boolean;
  readonly noselfballooning?: boolean;
  readonly noselfshrink?: boolean;
};

function addRun(program: Command): void {
  program
    .command('run')
    .description('run the daemon in the foreground; Ctrl-C gives everything back')
    .addOption(new Option('--hypervisor <kind>', 'what to drive').choices(HYPERVISORS))
    .option(...CONFIG)
    .option('--dry-run', 'decide and log, change nothing')
    .option('--speed <factor>', 'simulated seconds in a real one, for the embedded host')
    .option('--seed <number>', "seed of the embedded host's guests")
    .option(...SOCKET)
    .option('--journal <file>', 'keep a journal of every event and decision')
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(LOG_FORMATS))
    .addOption(new Option('--log-level <level>', 'least level shown').choices(LOG_LEVELS))
    .option('--no-table', 'log lines only, even on a terminal')
    .option('--selfballooning', 'boot option: self-ballooning is wanted even without frontswap')
    .option('--noselfballooning', 'boot option: no self-ballooning')
    .option('--noselfshrink', 'boot option: no self-shrinking')
    .action(async (given: GivenRunFlags) => {
      const { keepEngineSmall } = await import('./daemon/engine.js');
      keepEngineSmall();
      const { runDaemon } = await import('./commands/run.js');
      process.exitCode = await runDaemon({ ...given, bootOptions: bootOptionsIn(given) });
    });
}

function addReport(program: Command): void {
  program
    .command('report')
    .description('inside a Xen guest: tell the host how this guest is, and change nothing')
    .option(...CONFIG)
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(LOG_FORMATS))
    .addOption(new Option('--log-level <level>', 'least level shown').choices(LOG_LEVELS))
    .action(async (flags: ReportFlags) => {
      const { keepEngineSmall } = await import('./daemon/engine.js');
      keepEngineSmall();
      const { runReporter } = await import('./commands/report.js');
      process.exitCode = await runReporter(flags);
    });
  program
    .command('agent')
    .description('inside a guest of QEMU: tell the host how this guest is, and change nothing')
    .option('--port <device>', `the port to write to (default: the one that is called ${OWN_PORT})`)
    .option(...CONFIG)
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(LOG_FORMATS))
    .addOption(new Option('--log-level <level>', 'least level shown').choices(LOG_LEVELS))
    .action(async (flags: AgentFlags) => {
      const { keepEngineSmall } = await import('./daemon/engine.js');
      keepEngineSmall();
      const { runAgent } = await import('./commands/agent.js');
      process.exitCode = await runAgent(flags);
    });
}

function bootOptionsIn(given: GivenRunFlags): readonly BootOption[] {
  const { selfballooning, noselfballooning, noselfshrink } = given;
  return [
    ...(selfballooning === true ? (['selfballooning'] as const) : []),
    ...(noselfballooning === true ? (['noselfballooning'] as const) : []),
    ...(noselfshrink === true ? (['noselfshrink'] as const) : []),
  ];
}

function addTalk(program: Command): void {
  const talking = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option(...SOCKET)
      .option(...CONFIG);
  talking('status', 'show what the daemon sees, decides and does')
    .option('--json', 'as JSON, for programs')
    .action(async (flags: AskFlags & { readonly json?: boolean }) => {
      const { showStatus } = await import('./commands/talk.js');
      await showStatus(flags, print);
    });
  talking('get', 'show one tunable, or all of them')
    .argument('[name]', 'name of a tunable')
    .action(async (name: string | undefined, flags: AskFlags) => {
      const { getTunables } = await import('./commands/talk.js');
      await getTunables(name, flags, print);
    });
  talking('set', 'write a tunable')
    .argument('<name>', 'name of a tunable')
    .argument('<value>', 'its new value')
    .action(async (name: string, value: string, flags: AskFlags) => {
      const { setTunable } = await import('./commands/talk.js');
      await setTunable(name, value, flags);
    });
  talking('release', 'give all memory back, and switch self-ballooning off')
    .addOption(new Option('--hypervisor <kind>', 'what is driven, if no daemon answers').choices(HYPERVISORS))
    .option('--unless-driven', 'do nothing where a daemon answers')
    .action(async (flags: ReleaseFlags) => {
      const { releaseAll } = await import('./commands/release.js');
      print(visible(await releaseAll(flags)));
    });
}

function addChecks(program: Command): void {
  program
    .command('doctor')
    .description('check what self-ballooning needs here, and say what to do')
    .addOption(new Option('--hypervisor <kind>', 'what is going to be driven').choices(HYPERVISORS))
    .option(...CONFIG)
    .option(...SOCKET)
    .option('--json', 'as JSON, for programs')
    .action(async (flags: DoctorFlags) => {
      const { runDoctor } = await import('./commands/doctor.js');
      exitWith(await runDoctor(flags, print));
    });
  program
    .command('replay')
    .description('decide again from a journal; tells the first difference')
    .argument('<journal>', 'a journal file')
    .action(async (journal: string) => {
      const { replayJournal } = await import('./commands/replay.js');
      exitWith(await replayJournal(journal, printVisible));
    });
  program
    .command('conformance')
    .description('replay vector files of the specifications, plain or gzipped')
    .argument('<files...>', 'vector files')
    .action(async (files: readonly string[]) => {
      const { runConformance } = await import('./commands/conformance.js');
      exitWith(await runConformance(files, printVisible));
    });
}
