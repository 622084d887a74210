/**
 * One long-lived virsh that is spoken to as a person would at its prompt: a command a line, answers between two words that only this
 * session knows. One command at a time; what does not answer in time is killed, by its own process id. It does not know what the
 * commands do.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';
import { brokenProtocol, closedByUs, cutShort, ended, hung, notStarted, refused, type VirshError } from './errors.js';

export interface SessionOptions {
  /** As virsh has it after `-c`. */
  readonly uri: string;
  /** Over libvirt's read-only connection. */
  readonly isReadOnly: boolean;
  readonly clock: Clock;
  /** Default `virsh`, wherever it is on the path. */
  readonly program?: string;
}

export interface RunOptions {
  /** The session is killed when the command has not ended by then. */
  readonly limit: Millis;
  /** Given each line as it comes. Default: they are kept for the answer. Must not throw. */
  readonly onLine?: (line: string) => void;
  /** Told when virsh has come to it: it may have had to connect first. Must not throw. */
  readonly onBegun?: () => void;
}

/** The longest line, in characters: a thousand domains' statistics have lines of 100. */
const LINE_MAX = 2 ** 20;
/** Most of an answer, in characters. Seen: 0.5 KB of statistics and 6 KB of XML a domain. */
const ANSWER_MAX = 32 * 2 ** 20;
/** What it complained of last is kept for the message when it ends. */
const LAST_WORDS = 4;

/**
 * virsh writes errors to stderr; in one stream they keep their place in the answer. What ends the whole service, or whoever stands at
 * the terminal, must not end virsh before everything was given back.
 */
const STEADY = 'trap "" HUP INT TERM; exec "$@" 2>&1';

interface Running {
  readonly line: string;
  readonly begin: string;
  readonly end: string;
  readonly lines: string[];
  readonly onLine: ((line: string) => void) | undefined;
  readonly onBegun: (() => void) | undefined;
  readonly resolve: (lines: readonly string[]) => void;
  readonly reject: (error: VirshError) => void;
  isBegun: boolean;
  length: number;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #process: ChildProcess;
  readonly #secret = randomBytes(8).toString('hex');
  readonly #last: string[] = [];
  #count = 0;
  #unasked = 0;
  #rest = '';
  #running: Running | null = null;
  #end: VirshError | null = null;
  #tellEnd: (why: VirshError) => void = () => undefined;
  /** Resolves with the reason when it has ended. Never rejects. */
  readonly ended = new Promise<VirshError>((resolve) => (this.#tellEnd = resolve));

  /** Starts virsh at once. That it cannot connect is its end. */
  constructor(options: SessionOptions) {
    this.#options = options;
    const { program = 'virsh', uri, isReadOnly } = options;
    const words = [program, ...(isReadOnly ? ['-r'] : []), '-c', uri];
    this.#process = spawn('sh', ['-c', STEADY, 'sh', ...words], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: ENV,
      detached: true,
    });
    this.#process.once('error', (error) => {
      this.#finish(notStarted(program, error));
    });
    // Its last words have been read when the stream has ended, not when the process has.
    this.#process.once('close', (code, signal) => {
      this.#finish(ended(this.#last.length > 0 ? this.#last.join('; ') : `it said nothing (${code ?? signal})`));
    });
    this.#process.stdin?.on('error', () => undefined);
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#take(text);
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether it takes no more commands; `ended` may be a moment behind. */
  get hasEnded(): boolean {
    return this.#end !== null;
  }

  /**
   * What the command prints, without its empty lines. `line` is one of `commandLine`. Rejects with `VirshError`: as libvirt refuses, or
   * as the session ends. Call it when nothing else runs.
   */
  run(line: string, { limit, onLine, onBegun }: RunOptions): Promise<readonly string[]> {
    if (this.#end !== null) return Promise.reject(this.#end);
    this.#count += 1;
    const mark = (what: string): string => `${what}-${this.#secret}-${this.#count}`;
    const [begin, end] = [mark('begin'), mark('end')];
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = clock.timer(() => {
        this.#finish(hung(line, limit));
      });
      timer.set(limit);
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          timer.clear();
          this.#running = null;
          settle(value);
        };
      };
      this.#running = {
        ...{ line, begin, end, onLine, onBegun, lines: [], isBegun: false, length: 0 },
        ...{ resolve: settled(resolve), reject: settled(reject) },
      };
      this.#process.stdin?.write(`echo ${begin}\n${line}\necho ${end}\n`);
    });
  }

  /** Kills it. A command that runs has no answer then, but may happen. */
  close(): void {
    this.#finish(closedByUs());
  }

  #take(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#takeLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (this.#rest.length > LINE_MAX)
      this.#finish(brokenProtocol(`virsh sent a line of more than ${LINE_MAX} characters`));
  }

  #takeLine(line: string): void {
    const running = this.#running;
    if (this.#end !== null) return;
    if (running?.isBegun === true) {
      if (line === running.end) this.#answer(running);
      else if (line !== '') this.#keep(running, line);
    } else if (line === running?.begin) {
      running.isBegun = true;
      this.#unasked = 0;
      running.onBegun?.();
    } else this.#overhear(line);
  }

  #keep(running: Running, line: string): void {
    // virsh shows its prompt and each line that it has read.
    if (PROMPT.test(line)) return;
    if (running.onLine !== undefined) {
      running.onLine(line);
      if (!line.startsWith(ERROR)) return;
    }
    running.length += line.length;
    if (running.length > ANSWER_MAX) this.#finish(brokenProtocol(`virsh did not stop answering ${running.line}`));
    else running.lines.push(line);
  }

  /** What is said without being asked: a greeting, the echo of what was written, or that libvirt is gone. */
  #overhear(line: string): void {
    const complaint = COMPLAINT.exec(line)?.[1];
    if (complaint !== undefined) this.#last.push(complaint.slice(0, 300));
    if (this.#last.length > LAST_WORDS) this.#last.shift();
    this.#unasked += line.length;
    // Said by virsh itself: in an answer the same words could be anybody's.
    if (complaint?.startsWith(DISCONNECTED) === true) this.#finish(ended(complaint));
    if (this.#unasked > ANSWER_MAX) this.#finish(brokenProtocol('virsh did not stop talking without being asked'));
  }

  #answer({ line, lines, resolve, reject }: Running): void {
    // Errors are all that a command says when it fails, and a text of somebody's may look like one further down.
    if (lines[0]?.startsWith(ERROR) !== true) {
      resolve(lines);
      return;
    }
    const said = lines.filter((one) => one.startsWith(ERROR)).map((one) => one.slice(ERROR.length));
    reject(refused(line, said.join('; ')));
  }

  /** Once; what is to be said of the end is what came first. */
  #finish(why: VirshError): void {
    if (this.#end !== null) return;
    this.#end = why;
    this.#rest = '';
    const running = this.#running;
    running?.reject(running.isBegun && why.virshCode !== 'ETIMEDOUT' ? cutShort(running.line, why) : why);
    this.#process.kill('SIGKILL');
    this.#process.stdin?.destroy();
    this.#process.stdout?.destroy();
    this.#tellEnd(why);
  }
}

const ERROR = 'error: ';
const PROMPT = /^virsh [#>] (?!error: )/;
/** virsh's own, or the shell's that could not find it. */
const COMPLAINT = /^(?:virsh [#>] )?(?:error|sh: (?:line )?\d+): (.*)$/;
const DISCONNECTED = 'Disconnected from ';

/** Words as in the C locale, no terminal's ways, no history, and no libvirtd started only because it was asked for. */
const ENV: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LIBVIRT|VIRSH|LC)_|^LANG/.test(name))),
  LC_ALL: 'C',
  TERM: 'dumb',
  INPUTRC: '/dev/null',
  LIBVIRT_AUTOSTART: '0',
  VIRSH_HISTSIZE: '0',
};
