/**
 * What the kernel says of real QEMUs whose memory stays with them: of huge pages, and locked. They run no guest. Protects that such memory is
 * seen there, and that ordinary memory is not taken for it.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { labMode, skipReason } from '../../lab/mode.js';
import { findQemuLab } from '../../lab/qemu/marker.js';
import { errorText } from '../../src/errors.js';
import { EmulatorMemory } from '../../src/signals/emulator-memory.js';
import { mib, mibToPages, millis } from '../../src/units.js';
import { VirtualClock } from '../../src/sim/index.js';
import { RealQemu } from '../qmp/support/real-qemu.js';

const MEMORY_MIB = 64;
/** Of 2 MiB. */
const HUGE_PAGES = MEMORY_MIB / 2;
const NR_HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
const TEST_LIMIT_MS = 60_000;
/** Otherwise QEMU sets a part of this machine's whole memory aside for what it translates, and locks that too. */
const MACHINE = ['-accel', 'tcg,tb-size=16', '-m', String(MEMORY_MIB)];
const BASE = mibToPages(mib(MEMORY_MIB));

const skip = skipReason(labMode(process.env), findQemuLab());
const test = (name: string, body: (t: TestContext) => Promise<void>): void => {
  void it(name, { skip, timeout: TEST_LIMIT_MS }, body);
};

async function memoryOf(t: TestContext, ...args: readonly string[]): Promise<EmulatorMemory> {
  const qemu = new RealQemu(() => [...MACHINE, ...args]);
  t.after(() => qemu.close());
  const qmp = await qemu.connect({ clock: new VirtualClock() });
  const memory = new EmulatorMemory({ root: '/', pid: qmp.peerPid(), now: () => millis(0) });
  t.after(() => {
    memory.close();
  });
  return memory;
}

/** So many more than there are; null: the kernel gives them. */
function addHugePages(t: TestContext): string | null {
  const before = readFileSync(NR_HUGE_PAGES, 'utf8').trim();
  const wanted = Number(before) + HUGE_PAGES;
  try {
    writeFileSync(NR_HUGE_PAGES, String(wanted));
  } catch (error) {
    return `the kernel gives no huge pages: ${errorText(error)}`;
  }
  t.after(() => {
    writeFileSync(NR_HUGE_PAGES, before);
  });
  const given = Number(readFileSync(NR_HUGE_PAGES, 'utf8'));
  return given < wanted ? `the kernel gives ${given} huge pages and not ${wanted}` : null;
}

describe('the memory of a real QEMU', { concurrency: 1 }, () => {
  test('stays with it where it is of huge pages, which are in no resident set', async (t) => {
    const refusal = addHugePages(t);
    if (refusal !== null) {
      t.skip(refusal);
      return;
    }
    const backend = `memory-backend-memfd,id=ram,size=${MEMORY_MIB}M,hugetlb=on,hugetlbsize=2M,prealloc=on`;
    const memory = await memoryOf(t, '-object', backend, '-machine', 'memory-backend=ram');
    assert.deepEqual(memory.kept(BASE), { cause: 'huge-pages', size: BASE });
    assert.ok((memory.resident() ?? 0) > BASE, `${memory.resident()} pages`);
  });

  test('stays with it where it is locked', async (t) => {
    let memory: EmulatorMemory;
    try {
      memory = await memoryOf(t, '-overcommit', 'mem-lock=on');
    } catch (error) {
      if (!/mlockall|locking memory failed/i.test(errorText(error))) throw error;
      t.skip(`the kernel lets this user lock no memory: ${errorText(error)}`);
      return;
    }
    assert.equal(memory.kept(BASE)?.cause, 'locked');
  });

  test('is ordinary where nothing else is said', async (t) => {
    const memory = await memoryOf(t);
    assert.equal(memory.kept(BASE), null);
    assert.ok((memory.resident() ?? 0) > 0);
  });
});
