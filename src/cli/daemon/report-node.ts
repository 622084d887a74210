/** The node of xenstore into which this guest's reports are written, with a connection that is made anew when it is lost. */
import { unlessAborted } from '../../waiting/abort.js';
import type { Clock } from '../../control/ports.js';
import { REPORT_FOLDER, REPORT_NODE } from '../../signals/report-ways.js';
import { openXenbusDevice, openXenstore, XENBUS_DEVICE, XenstoreError, type Xenstore } from '../../xenstore/index.js';
import type { ReportWay } from './report-way.js';

const GONE = new Set(['EUNAVAILABLE', 'ETIMEDOUT']);

/** How a connection is made: through the kernel's device. Given by tests only. */
type Connect = () => Promise<Xenstore>;

const throughDevice =
  (clock: Clock): Connect =>
  async () =>
    openXenstore({ transport: await openXenbusDevice(XENBUS_DEVICE, clock), clock });

const givenUp = (): XenstoreError =>
  new XenstoreError({ xenstoreCode: 'ETIMEDOUT', message: 'a report was given up, for the reporter ends' });

/** Opens the device once, to see that it can be. Rejects with `XenstoreError`. */
export async function openReportNode(clock: Clock, connect: Connect = throughDevice(clock)): Promise<ReportWay> {
  let store: Xenstore | null = await connect();
  const drop = async (): Promise<void> => {
    const dropped = store;
    store = null;
    await dropped?.close();
  };
  return {
    description: `the node ${REPORT_NODE} of its own folder in xenstore`,
    alarmsWait: true,
    publish: async (text, signal) => {
      store ??= await connect();
      try {
        // The write has the store's own time limit; with a signal it would have none.
        await unlessAborted(store.write(REPORT_NODE, text), signal, givenUp);
      } catch (error) {
        // A connection that does not answer is as good as lost.
        const isGone = error instanceof XenstoreError && GONE.has(error.xenstoreCode);
        if (isGone && !signal.aborted) await drop();
        throw error;
      }
    },
    // The host then takes it for a guest that has never reported.
    leave: async () => {
      try {
        await store?.remove(REPORT_FOLDER);
      } catch {
        // The host sees the last report grow old instead.
      }
    },
    close: drop,
  };
}
