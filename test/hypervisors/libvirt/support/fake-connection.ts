/** A connection to a fake libvirt without any process: the same words, the same lines, the same errors. */
import { unlessAborted } from '../../../../src/waiting/abort.js';
import type { Clock } from '../../../../src/control/ports.js';
import { millis } from '../../../../src/units.js';
import { commandLine, VirshError, type Virsh, type VirshEnd, type VirshOptions } from '../../../../src/virsh/index.js';
import { closedByUs, givenUp, hung, refused } from '../../../../src/virsh/errors.js';
import { agentWords, parseAgentAnswer, type AgentCommand } from '../../../../src/virsh/guest-agent.js';
import type { Turn } from '../../../../src/virsh/sessions.js';
import { parseEvent } from '../../../../src/virsh/events.js';
import type { FakeLibvirt } from '../../../virsh/support/fake-libvirt.js';

export class FakeConnection implements Virsh {
  readonly pids: readonly number[] = [];
  /** Looks end as one that hung, so many times. */
  looksHang = 0;
  /** What was asked of domains apart from all others. */
  readonly apart: string[] = [];
  /** Most probes that were under way at the same time. */
  probesMax = 0;
  #probes = 0;
  readonly #libvirt: FakeLibvirt;
  readonly #clock: Clock;
  readonly #ends = new AbortController();
  #tellEnd: (end: VirshEnd) => void = () => undefined;
  readonly closed = new Promise<VirshEnd>((resolve) => (this.#tellEnd = resolve));

  constructor(libvirt: FakeLibvirt, clock: Clock, { onEvent, onGap }: Pick<VirshOptions, 'onEvent' | 'onGap'>) {
    this.#libvirt = libvirt;
    this.#clock = clock;
    onGap();
    const hear = (text: string): void => {
      const event = parseEvent(text.trim());
      if (event !== null) onEvent(event);
    };
    void libvirt.answer('event --all', hear, this.#ends.signal);
  }

  look(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    if (this.looksHang > 0) {
      this.looksHang -= 1;
      return Promise.reject(hung(commandLine(words), 3_000));
    }
    return this.#within(3_000, commandLine(words), signal);
  }

  async probe(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    this.#probes += 1;
    this.probesMax = Math.max(this.probesMax, this.#probes);
    try {
      return await this.#within(1_000, commandLine(words), signal);
    } finally {
      this.#probes -= 1;
    }
  }

  /** What has no answer by then has hung. */
  #within(limit: number, line: string, signal: AbortSignal): Promise<readonly string[]> {
    return unlessAborted(this.#run(line, signal), this.#clock.timeLimit(millis(limit)), () => hung(line, limit));
  }

  act(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(commandLine(words), signal);
  }

  actApart(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    this.apart.push(commandLine(words));
    return this.act(words, signal);
  }

  actAside(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.act(words, signal);
  }

  async askAgent(uuid: string, command: AgentCommand, signal: AbortSignal, turn?: Turn): Promise<unknown> {
    turn?.onBegun?.();
    return parseAgentAnswer(await this.#run(commandLine(agentWords(uuid, command)), signal));
  }

  async #run(line: string, signal: AbortSignal): Promise<readonly string[]> {
    if (this.#ends.signal.aborted) throw closedByUs();
    if (signal.aborted) throw givenUp(line);
    let said = '';
    await this.#libvirt.answer(line, (text) => (said += text), this.#ends.signal);
    const lines = said.split('\n').filter((one) => one !== '');
    if (lines[0]?.startsWith('error: ') === true) throw refused(line, lines[0].slice('error: '.length));
    return lines;
  }

  /** libvirt goes away. */
  lose(): void {
    const error = new VirshError({ virshCode: 'EUNAVAILABLE', message: 'libvirtd was stopped by the test' });
    this.#end({ kind: 'lost', error });
  }

  close(): Promise<void> {
    this.#end({ kind: 'closed' });
    return Promise.resolve();
  }

  #end(end: VirshEnd): void {
    this.#ends.abort();
    this.#tellEnd(end);
  }
}
