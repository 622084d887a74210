/** The daemon, put together: a place, the loop over it, the journal, and the ways in from outside. */
import type { Logger } from '@logtape/logtape';
import type { Config } from '../../config/index.js';
import type { GuestDecision } from '../../control/actions.js';
import type { Journal } from '../../control/journal.js';
import { createStep, initialState } from '../../control/step.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { selfPolicy, type SelfshrinkMemory } from '../../policies/index.js';
import { openJournalFile } from '../../runtime/journal-file.js';
import { Loop } from '../../runtime/loop.js';
import {
  attributeFolderOf,
  defaultSocketPath,
  startAttributeFiles,
  startServer,
  type AttributeFiles,
} from '../../server/index.js';
import { mibToPages, pagesToBytes } from '../../units.js';
import { FailureLog } from './failure-log.js';
import { LimitWatch } from './limit-watch.js';
import { logLine, sayWarning } from './log.js';
import type { Place } from './place.js';
import { runUntilMet } from './run-until-met.js';

export interface DaemonParts {
  readonly config: Config;
  readonly place: Place;
  readonly logger: Logger;
  readonly afterStep: (decisions: readonly GuestDecision[]) => void;
}

export interface Farewell {
  /** Guests that did not take their memory back. */
  readonly unreleased: readonly string[];
  /** Where guests may be that could not be asked, each with the reason. */
  readonly unreached: readonly string[];
}

export interface Daemon {
  readonly loop: Loop<SelfshrinkMemory>;
  /** Where it answers; null when it has no socket. */
  readonly socketPath: string | null;
  /** Runs until `signal` is aborted, then gives everything back. Says what may not have it. */
  run(signal: AbortSignal): Promise<Farewell>;
  close(): Promise<void>;
}

/** Puts a daemon together; nothing is asked of any guest before it runs. */
export async function openDaemon(parts: DaemonParts): Promise<Daemon> {
  const { config, place, logger } = parts;
  const { policy = selfPolicy } = place;
  const warn = sayWarning(logger);
  const journal = openJournal(config, warn);
  const inlets = new Inlets(warn);
  const failures = new FailureLog({
    say: (line) => {
      logLine(logger, line);
    },
    now: () => place.clock.now(),
  });
  const limits = new LimitWatch({
    limits: config.guestLimits,
    now: () => place.clock.now(),
    isMeeting: () => place.hypervisors.some(({ isMeeting }) => isMeeting === true),
    warn,
  });
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(policy),
    policyName: policy.name,
    ...(journal === null ? {} : { runId: await newRunId() }),
    state: initialState<SelfshrinkMemory>({
      tunables: place.tunables,
      isDryRun: config.isDryRun,
      hasFrontswap: place.hasFrontswap,
      limits: config.guestLimits,
    }),
    clock: place.clock,
    hypervisors: place.hypervisors,
    journal,
    tell: (tell) => {
      failures.take(tell);
    },
    showTunable: (name, text) => {
      inlets.showTunable(name, text);
    },
    afterStep: ({ state, decisions }) => {
      failures.afterStep((guest) => state.guests.get(guest));
      limits.look(() => state.guests.list);
      parts.afterStep(decisions);
    },
  });
  const socketPath = await inlets.open(config, loop);
  return {
    loop,
    socketPath,
    run: (signal) =>
      runInTime(place, () => (config.isDryRun ? runDry(loop, signal) : runAndGiveBack(loop, place, signal))).finally(
        () => {
          failures.close();
        },
      ),
    async close() {
      try {
        await inlets.close();
        await place.close();
      } finally {
        journal?.close();
      }
    },
  };
}

/** Keeps the place's time going meanwhile. */
async function runInTime<T>(place: Place, run: () => Promise<T>): Promise<T> {
  const keeping = new AbortController();
  const keepingTime = place.keepTime?.(keeping.signal);
  try {
    return await run();
  } finally {
    keeping.abort();
    await keepingTime;
  }
}

/** The way out leads through giving back, also when the loop itself fails. */
async function runAndGiveBack(loop: Loop<SelfshrinkMemory>, place: Place, signal: AbortSignal): Promise<Farewell> {
  try {
    await runUntilMet(loop, place, signal);
  } catch (error) {
    await loop.giveBack();
    throw error;
  }
  // Nothing is given back to who is met from now on: the loop does not hear of him any more.
  const unreached = place.hypervisors.flatMap((hypervisor) => hypervisor.unreached?.() ?? []);
  return { unreleased: await loop.giveBack(), unreached };
}

/** Nothing was taken, so there is nothing to give back. */
async function runDry(loop: Loop<SelfshrinkMemory>, signal: AbortSignal): Promise<Farewell> {
  await loop.run(signal);
  return { unreleased: [], unreached: [] };
}

/** Only a journal names the run. Loading `node:crypto` for it takes 0.4 MiB, and 1.1 MiB on Node.js 26. */
async function newRunId(): Promise<string> {
  const { randomUUID } = await import('node:crypto');
  return randomUUID();
}

function openJournal(config: Config, warn: (message: string) => void): Journal | null {
  const { path, maxMib, files } = config.journal;
  if (path === null) return null;
  try {
    return openJournalFile({ path, sizeMax: pagesToBytes(mibToPages(maxMib)), filesMax: files, warn });
  } catch (error) {
    throw new SelfballoonError({
      code: 'EIO',
      message: `the journal ${path} cannot be opened: ${errorText(error)}`,
      advice: 'Make the folder that it names, choose another path with journal.path, or leave it out to keep none',
      cause: error,
    });
  }
}

/** The ways in from outside: the socket, and the attribute files beside it. */
class Inlets {
  #files: AttributeFiles | null = null;
  #closers: (() => Promise<void>)[] = [];

  constructor(readonly warn: (message: string) => void) {}

  showTunable(name: string, text: string): void {
    this.#files?.show(name, text);
  }

  /** Opens both. Without a usable default place the daemon runs on without them, and says so; a path that was asked for must work. */
  async open(config: Config, loop: Loop<SelfshrinkMemory>): Promise<string | null> {
    const socketPath = config.socketPath ?? this.#defaultPath();
    if (socketPath === null) return null;
    try {
      await this.#openAt(socketPath, loop);
      return socketPath;
    } catch (error) {
      await this.close();
      // Another daemon that answers there drives the same guests: two of them must not.
      const isOptional = error instanceof SelfballoonError && error.code !== 'EUNAVAILABLE';
      if (!isOptional || config.socketPath !== null) throw error;
      this.#runWithout(error);
      return null;
    }
  }

  async #openAt(socketPath: string, loop: Loop<SelfshrinkMemory>): Promise<void> {
    const { readModel } = loop;
    const server = await startServer({ socketPath, readModel, commands: loop, warn: this.warn });
    this.#closers.push(() => server.close());
    const folder = attributeFolderOf(socketPath);
    const files = await startAttributeFiles({ folder, readModel, commands: loop, warn: this.warn });
    this.#files = files;
    this.#closers.push(() => files.close());
  }

  #defaultPath(): string | null {
    try {
      return defaultSocketPath(process.env);
    } catch (error) {
      this.#runWithout(error);
      return null;
    }
  }

  #runWithout(error: unknown): void {
    this.warn(`it cannot be controlled from outside: ${errorText(error)}`);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    this.#closers = [];
    this.#files = null;
  }
}
