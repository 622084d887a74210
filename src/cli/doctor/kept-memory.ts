/** A machine whose memory stays with its QEMU, as the doctor says it. It does not know what the daemon makes of it. */
import { answerOrNull } from '../../hypervisors/qmp/answer-or-null.js';
import { BaseMemory } from '../../hypervisors/qmp/base-memory.js';
import { describeKept } from '../../hypervisors/qmp/description.js';
import { findMemoryDevices } from '../../hypervisors/qmp/memory-devices.js';
import { decodeMemorySizeSummary, type Qmp } from '../../qmp/index.js';
import { EmulatorMemory } from '../../signals/emulator-memory.js';
import { KEPT_ADVICE } from '../../signals/kept-news.js';
import { bytesToPagesDown, millis } from '../../units.js';
import { warn, type Finding } from './finding.js';

/** `seen`: a clause that says what of it was seen, and where. */
export const keptFinding = (name: string, seen: string): Finding =>
  warn(
    `${name}: ${seen}. What it gives up would be of no use to this host, so nothing of its boot memory is taken`,
    KEPT_ADVICE,
  );

/** Of a machine behind a monitor, by the process that listens there; none where its memory is ordinary, or nobody can tell. */
export async function checkKept(
  machine: Qmp,
  { name, root }: { readonly name: string; readonly root: string },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const [summary, devices] = await Promise.all([
    answerOrNull(machine.execute('query-memory-size-summary', {}, { signal })),
    answerOrNull(machine.execute('query-memory-devices', {}, { signal })),
  ]);
  const { dimms } = await findMemoryDevices(machine, devices, signal);
  const booted = decodeMemorySizeSummary(summary)?.base ?? null;
  const { size } = new BaseMemory({ booted, dimms, at: millis(0) });
  const emulator = new EmulatorMemory({ root, pid: machine.peerPid(), now: () => millis(0) });
  const kept = emulator.kept(size === null ? null : bytesToPagesDown(size));
  emulator.close();
  return kept === null ? [] : [keptFinding(name, describeKept(kept))];
}
