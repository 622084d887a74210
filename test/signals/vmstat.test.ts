import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Field, UnknownReason } from '../../src/control/signal.js';
import { parseVmstat } from '../../src/signals/vmstat.js';
import { procText } from './proc-roots.js';

const shown = (field: Field<number>): number | UnknownReason => (field.known ? field.value : field.reason);

function values(text: string): readonly (number | UnknownReason)[] {
  const { refaults, majorFaults, oomKills, swappedIn, swappedOut } = parseVmstat(text);
  return [refaults, majorFaults, oomKills, swappedIn, swappedOut].map(shown);
}

describe('/proc/vmstat', () => {
  it('adds the two refault counters of newer kernels', () => {
    assert.deepEqual(values(procText('numa-two-nodes', 'vmstat')), [91022, 5150, 2, 40404, 97151]);
  });

  it('reads counters that pass 2^31', () => {
    assert.deepEqual(values(procText('big-24-tib', 'vmstat')), [9_000_000_000_000_001, 6_442_450_944, 0, 0, 0]);
  });

  it('takes the one counter of Linux 4.19', () => {
    assert.deepEqual(values(procText('linux-4.19', 'vmstat')), [1234, 5, 1, 3, 4]);
  });

  it('does not call 0 what an old kernel does not count', () => {
    assert.deepEqual(values(procText('linux-3.10', 'vmstat')), ['not-reported', 5, 'not-reported', 3, 4]);
  });

  it('does not take half of the refaults for all of them', () => {
    assert.equal(values('workingset_refault_anon 7\n')[0], 'malformed');
    assert.equal(values('workingset_refault_file 7\nworkingset_refault 9\n')[0], 'malformed');
    assert.equal(values('workingset_refault_anon 7\nworkingset_refault_file x\n')[0], 'malformed');
  });

  it('does not believe a sum above 2^53, a number twice, or one that was cut', () => {
    const most = '9007199254740991';
    assert.equal(values(`workingset_refault_anon ${most}\nworkingset_refault_file 1\n`)[0], 'malformed');
    assert.equal(values('pgmajfault 1\npgmajfault 1\n')[1], 'malformed');
    assert.equal(values('oom_kill 0\npgmajfault 12')[1], 'malformed');
    assert.equal(values('pgmajfault -1\n')[1], 'malformed');
    assert.equal(values('pgmajfault\n')[1], 'not-reported');
  });
});
