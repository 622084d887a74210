/** What can become of the monitor of one of two guests. Protects that the other goes on, and that a guest whose monitor is back is driven. */
import { renameSync } from 'node:fs';
import { describe } from 'node:test';
import { isAtFloor, otherGoesOn, PLAIN, REPORTING, type MonitorPair } from './pair.js';

/** To be called in the suite of the pair, whose guests are driven. */
export function monitorFaults(pair: MonitorPair): void {
  const { host } = pair;

  describe('when a monitor goes away', { concurrency: 1 }, () => {
    pair.test('with its socket only: it is used as long as it is connected to', async () => {
      const monitor = pair.monitor(REPORTING);
      renameSync(monitor, `${monitor}.away`);
      // Longer than it takes to see that it is gone: two looks at the folder.
      await otherGoesOn(pair);
      await otherGoesOn(pair);
      renameSync(`${monitor}.away`, monitor);
    });

    pair.test('with its connection too: its guest is dropped, and driven again when it is back', async () => {
      await pair.closeTap();
      await host().untilDropped(PLAIN);
      await otherGoesOn(pair);
      await pair.openTap();
      await host().until(PLAIN, 'a guest at its floor', isAtFloor);
    });
  });
}
