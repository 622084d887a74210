/** Protects a QEMU whose monitor goes away and comes back, as with a machine that is started again: it is connected to again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionKeeper } from '../../src/connection/keeper.js';
import { connectQmp, type Qmp } from '../../src/qmp/index.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { FakeQemu } from './support/fake-qemu.js';
import { until } from './support/opened.js';

describe('a connection to QEMU that is kept', () => {
  it('is told of once when it is lost and once when it is there again', async (context) => {
    const fake = await FakeQemu.start(context);
    const clock = new VirtualClock();
    const told: string[] = [];
    const used: Qmp[] = [];
    let tries = 0;
    const keeper = new ConnectionKeeper<Qmp>({
      to: 'QEMU of vm1',
      clock,
      connect: (signal) => connectQmp(fake.path, { clock }, signal).finally(() => (tries += 1)),
      onConnected: async (qmp) => {
        await qmp.execute('query-name');
        used.push(qmp);
      },
      tell: (message) => told.push(message),
    });
    const ending = new AbortController();
    const keeping = keeper.keep(ending.signal);
    await until('it is used', () => used.length === 1);
    await clock.advanceTo(millis(60_000));
    await fake.end();
    await until('it is told', () => told.length === 1);
    for (const [index, at] of [60_200, 60_600, 61_400].entries()) {
      await clock.advanceTo(millis(at));
      await until('it is tried in vain', () => tries === 2 + index);
    }
    await fake.listen();
    await clock.advanceTo(millis(63_000));
    await until('it is told again', () => told.length === 2);
    assert.match(
      told[0] ?? '',
      /^the connection to QEMU of vm1 is lost: QEMU ended the connection on .*; connecting again$/,
    );
    assert.equal(told[1], 'QEMU of vm1 is connected to again');
    assert.deepEqual(
      used.map(({ isReady }) => isReady),
      [false, true],
    );
    ending.abort();
    await keeping;
    assert.deepEqual(await used.at(-1)?.closed, { kind: 'closed' });
  });
});
