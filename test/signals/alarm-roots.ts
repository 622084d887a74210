/** A `/proc/meminfo` that a test writes, and a kernel with pressure triggers that does what a test tells it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import type { Poller, PollOutcome } from '../../src/posix/poll.js';
import type { TriggerCalls } from '../../src/signals/pressure-trigger.js';
import type { TriggerOutcome } from '../../src/signals/trigger-file.js';
import { writeRoot } from './proc-roots.js';

export interface FakeMemory {
  readonly root: string;
  /** From now on so many MiB are available, of `totalMib`. */
  readonly set: (availableMib: number) => void;
  /** From now on the file holds this. */
  readonly write: (text: string) => void;
}

export function fakeMemory(test: TestContext, totalMib: number, availableMib: number): FakeMemory {
  const text = (available: number): string =>
    `MemTotal: ${totalMib * 1024} kB\nMemFree: 0 kB\nMemAvailable: ${Math.round(available * 1024)} kB\nBuffers: 0 kB\n`;
  const root = writeRoot(test, { 'proc/meminfo': text(availableMib), 'proc/pressure/memory': '' });
  const write = (content: string): void => {
    writeFileSync(join(root, 'proc', 'meminfo'), content);
  };
  return {
    root,
    write,
    set: (available) => {
      write(text(available));
    },
  };
}

/** What the fake kernel answers to one request for a trigger: an outcome, or that it is set. */
export type Answer = TriggerOutcome | 'set' | 'cannot-poll';

/** Answers the requests one after another, and the last answer for ever. What is open is counted. */
export class FakeKernel implements TriggerCalls {
  readonly asked: string[] = [];
  openDescriptors = 0;
  openPollers = 0;
  #polled: FakePoller | null = null;
  #answer: Answer = 'set';

  constructor(readonly answers: Answer[] = []) {}

  readonly setTrigger: TriggerCalls['setTrigger'] = (path, settings) => {
    this.asked.push(`${path}: ${settings.stall}/${settings.window}`);
    this.#answer = this.answers.shift() ?? this.#answer;
    const answer = this.#answer;
    if (typeof answer === 'object' && answer.kind === 'refused') return answer;
    this.openDescriptors += 1;
    return typeof answer === 'object' ? answer : { kind: 'set', descriptor: 77, settings };
  };

  readonly openPoller: TriggerCalls['openPoller'] = async () => {
    await Promise.resolve();
    if (this.#answer === 'cannot-poll') throw new SelfballoonError({ code: 'EUNAVAILABLE', message: 'no koffi here' });
    this.openPollers += 1;
    this.#polled = new FakePoller(() => {
      this.openPollers -= 1;
    });
    return this.#polled;
  };

  readonly closeDescriptor = (descriptor: number): void => {
    if (descriptor !== 77) throw new Error(`not the trigger's descriptor: ${descriptor}`);
    if (this.openPollers > 0) throw new Error('closed while somebody waits for it');
    this.openDescriptors -= 1;
  };

  /** The kernel says something. It is remembered until somebody waits. */
  say(outcome: PollOutcome): void {
    this.#polled?.say(outcome);
  }
}

class FakePoller implements Poller {
  #said: PollOutcome | null = null;
  #resolve: ((outcome: PollOutcome) => void) | null = null;

  constructor(readonly onClose: () => void) {}

  wait(): Promise<PollOutcome> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#deliver();
    });
  }

  wake(): void {
    this.say('woken');
  }

  close(): Promise<void> {
    this.onClose();
    return Promise.resolve();
  }

  say(outcome: PollOutcome): void {
    this.#said = outcome;
    this.#deliver();
  }

  #deliver(): void {
    if (this.#said === null || this.#resolve === null) return;
    const [said, resolve] = [this.#said, this.#resolve];
    this.#said = null;
    this.#resolve = null;
    resolve(said);
  }
}
