/** A loop small enough to hold in the hand: tunables in a variable, writes by the specification's own rules. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { DEFAULT_TUNABLES, formatTunable, writeTunable, type Tunables } from '../../src/control/tunables.js';
import type { CommandAnswer, Commands, TunableListener } from '../../src/runtime/commands.js';
import type { GuestRow, ReadModel, Snapshot } from '../../src/runtime/read-model.js';
import { millis } from '../../src/units.js';

export class FakeLoop implements ReadModel, Commands {
  tunables: Tunables = DEFAULT_TUNABLES;
  hasFrontswap = true;
  guests: readonly GuestRow[] = [];
  releases = 0;
  writes: string[] = [];
  onTunable: TunableListener = () => undefined;

  snapshot(): Snapshot {
    const { tunables, hasFrontswap, guests } = this;
    return {
      version: 7,
      at: millis(1500),
      isDryRun: false,
      sources: ['a fake'],
      hasFrontswap,
      tunables,
      hosts: [],
      guests,
    };
  }

  async writeTunable(write: Parameters<Commands['writeTunable']>[0]): Promise<CommandAnswer> {
    await Promise.resolve();
    this.writes.push(`${write.name}=${write.text}`);
    const outcome = writeTunable(this.tunables, { ...write, hasFrontswap: this.hasFrontswap });
    if (outcome.result !== 'ok') return outcome;
    this.tunables = outcome.tunables;
    this.onTunable(outcome.name, formatTunable(outcome.tunables, outcome.name));
    return { result: 'ok' };
  }

  async release(): Promise<CommandAnswer> {
    await Promise.resolve();
    this.releases += 1;
    return { result: 'ok' };
  }
}

/** A folder that is removed after the test. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-server-'));
  context.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

const POLL_MS = 10;
const POLLS_MAX = 2000;

/** Waits until `isSo`; fails when that takes out of all proportion. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    if (await isSo()) return;
    await wait(POLL_MS);
  }
  throw new Error(`it never came about that ${what}`);
}
