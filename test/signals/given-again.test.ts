/**
 * Protects a host's memory from being promised twice: a guest that was given memory again holds it before it has touched it, and the host's
 * kernel counts it as free all that time.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { EmulatorMemory } from '../../src/signals/emulator-memory.js';
import { GivenAgain } from '../../src/signals/given-again.js';
import { millis, pages } from '../../src/units.js';
import { temporaryFolder } from '../server/fakes.js';

/** Of looks in their order, as [held, resident]. */
function untouchedAfter(...looks: readonly (readonly [number, number | null])[]): number {
  const given = new GivenAgain();
  for (const [held, resident] of looks) given.note(pages(held), resident === null ? null : pages(resident));
  return given.untouched;
}

describe('what a guest was given again and has not touched', () => {
  it('is what it holds beyond the least that it held, as far as its emulator does not have it', () => {
    assert.equal(untouchedAfter([500, 480], [100, 110], [400, 120]), 280);
    assert.equal(untouchedAfter([500, 480], [100, 110], [400, 50]), 300);
    assert.equal(untouchedAfter([500, 480], [100, 110], [400, 410]), 0);
    assert.equal(untouchedAfter([500, 480], [100, 110], [400, 120], [100, 110]), 0);
  });

  it('is not what it was found with: who started it decided on that', () => {
    assert.equal(untouchedAfter([500, 20]), 0);
    assert.equal(untouchedAfter([500, 20], [500, 30]), 0);
    assert.equal(untouchedAfter([500, 20], [400, 20], [500, 20]), 100);
  });

  it('is nothing where nobody can tell what its emulator has', () => {
    assert.equal(untouchedAfter([500, null], [100, null], [400, null]), 0);
  });

  it('is told of as it grows', () => {
    const given = new GivenAgain();
    const more = [
      [100, 100],
      [400, 100],
      [400, 250],
      [600, 250],
    ].map(([held, resident]) => given.note(pages(held ?? 0), pages(resident ?? 0)));
    assert.deepEqual(more, [0, 300, 0, 200]);
  });
});

describe('the memory of an emulator', () => {
  function emulator(
    test: TestContext,
    text: string,
  ): { readonly memory: EmulatorMemory; readonly write: (text: string) => void; readonly pass: (ms: number) => void } {
    const root = temporaryFolder(test);
    mkdirSync(join(root, 'proc', '77'), { recursive: true });
    const write = (said: string): void => {
      writeFileSync(join(root, 'proc', '77', 'status'), said);
    };
    write(text);
    let now = 0;
    const memory = new EmulatorMemory({ root, pid: 77, now: () => millis(now) });
    test.after(() => {
      memory.close();
    });
    return { memory, write, pass: (ms) => void (now += ms) };
  }
  const status = (name: string, kib: number): string =>
    `Name:\t${name}\nUmask:\t0022\nVmPeak:\t  900000 kB\nVmRSS:\t   ${kib} kB\nRssAnon:\t 7 kB\n`;

  it('is its resident set, in pages, and is read again after two seconds', (test) => {
    const { memory, write, pass } = emulator(test, status('qemu-system-x86', 4_000));
    assert.equal(memory.resident(), 1_000);
    write(status('qemu-system-x86', 8_000));
    pass(1_999);
    assert.equal(memory.resident(), 1_000);
    pass(1);
    assert.equal(memory.resident(), 2_000);
  });

  it('is no more than its guest has held since it was read', (test) => {
    const { memory, write, pass } = emulator(test, status('qemu-system-x86', 8_000));
    assert.equal(memory.resident(), 2_000);
    memory.noteHeld(pages(500));
    assert.equal(memory.resident(), 500);
    write(status('qemu-system-x86', 2_400));
    assert.equal(memory.resident(), 500, 'what it gave up is not there again');
    pass(2_000);
    assert.equal(memory.resident(), 600);
  });

  it('opens nothing again when it has been closed', (test) => {
    const { memory, pass } = emulator(test, status('qemu-system-x86', 4_000));
    memory.resident();
    memory.close();
    pass(2_000);
    assert.equal(memory.resident(), null);
    assert.ok(!memory.isSeen());
  });

  it('is known of a QEMU that a wrapper starts', (test) => {
    assert.equal(emulator(test, status('.qemu-system-x8', 4_000)).memory.resident(), 1_000);
  });

  it('is known of Proxmox VE’s too, and not of any other program that may hold the socket', (test) => {
    assert.equal(emulator(test, status('kvm', 4_000)).memory.resident(), 1_000);
    assert.equal(emulator(test, status('socat', 4_000)).memory.resident(), null);
  });

  it('is not known where there is no such process, no such line, or nobody knows which it is', (test) => {
    assert.equal(emulator(test, 'Name:\tqemu-system-x86\n').memory.resident(), null);
    const root = temporaryFolder(test);
    for (const pid of [77, null]) {
      assert.equal(new EmulatorMemory({ root, pid, now: () => millis(0) }).resident(), null);
    }
  });

  /** A process 77 that is called so, and was started with these words. */
  function setProcess(root: string, name: string, words: readonly string[]): void {
    writeFileSync(join(root, 'proc', '77', 'status'), status(name, 4_000));
    writeFileSync(join(root, 'proc', '77', 'cmdline'), words.map((word) => `${word}\0`).join(''));
  }

  it('is known of a QEMU that goes by another name, by what it was started as', (test) => {
    const root = temporaryFolder(test);
    mkdirSync(join(root, 'proc', '77'), { recursive: true });
    const residentOf = (...words: readonly string[]): number | null => {
      setProcess(root, 'acct', words);
      const memory = new EmulatorMemory({ root, pid: 77, now: () => millis(0) });
      const resident = memory.resident();
      memory.close();
      return resident;
    };
    assert.equal(residentOf('/usr/bin/qemu-system-x86_64', '-m', '512'), 1_000);
    assert.equal(residentOf('kvm', '-id', '1'), 1_000);
    assert.equal(residentOf('/nix/.qemu-kvm-wrapped'), 1_000);
    assert.equal(residentOf('/usr/bin/socat', '/run/qemu/web.qmp'), null);
    assert.equal(residentOf('/run/qemu/proxy'), null);
    assert.equal(residentOf('sh', 'qemu'), null);
    assert.equal(residentOf(), null);
  });

  it('is not that of the next process of its number', (test) => {
    const root = temporaryFolder(test);
    mkdirSync(join(root, 'proc', '77'), { recursive: true });
    setProcess(root, 'acct', ['qemu-system-x86_64']);
    let now = 0;
    const memory = new EmulatorMemory({ root, pid: 77, now: () => millis((now += 2_000)) });
    test.after(() => {
      memory.close();
    });
    assert.equal(memory.resident(), 1_000);
    rmSync(join(root, 'proc', '77', 'status'));
    assert.equal(memory.resident(), null);
    setProcess(root, 'bash', ['bash']);
    for (let look = 0; look < 40; look += 1) assert.equal(memory.resident(), null);
  });
});
