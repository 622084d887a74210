/**
 * A guest that lies, to either of those who listen to it: negative, absurd, 2^63, and a line of 100 MB. Protects that nobody but itself has
 * anything from that: it stays within its limits, the other goes on, and the daemon neither hangs nor grows.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { PORTS } from '../../../lab/qemu/init.js';
import { quote } from '../../../lab/xen/shell.js';
import type { ShownGuest } from './host.js';
import { startLiar, type Liar } from './liar.js';
import { COMMIT_MIB, held, isAtFloor, NEAR_PAGES, otherGoesOn, PLAIN, type Pair } from './pair.js';

const MEMORY_PAGES = 512 * 256;
/** The daemon holds some 70 MiB; 100 more for what a guest said would be seen. */
const RESIDENT_MIB_MAX = 150;
const FLOOD_BYTES = 100_000_000;
const WAIT_MS = 120_000;
/** From which it would be seen what a lie does. */
const LOOKS = 3;
const PORT = `/dev/virtio-ports/${PORTS.ownAgent}`;

/** Whoever is only late is unknown too, with other words. */
const isUnknownFor =
  (why: string) =>
  ({ reason }: ShownGuest): boolean =>
    reason?.code === 'signal-unknown' && reason.detail?.includes(why) === true;

/** What is said of the guest, and how it is shown then. */
const LIES: readonly (readonly [string, string, (shown: ShownGuest) => boolean])[] = [
  ['something negative', 'Committed_AS: -1000 kB', isUnknownFor('"Committed_AS: -1000 kB" is not')],
  ['2^63', 'Committed_AS: 9223372036854775808 kB', isUnknownFor('"Committed_AS: 9223372036854775808 kB" is not')],
  ['a promise of a terabyte', 'Committed_AS: 1073741824 kB', (shown) => held(shown) === MEMORY_PAGES],
  ['more memory than there is', 'MemTotal: 9007199254740991 kB', isUnknownFor('more than any machine has')],
];

/** To be called in the suite of the pair, whose guests are driven and at their floors. */
export function lies(pair: Pair): void {
  const { guest, host } = pair;
  /** What the guest holds when nobody lies. */
  let floor = NaN;

  describe("when one lies through QEMU's guest agent", { concurrency: 1 }, () => {
    let liar: Liar;
    const untilFloor = (): Promise<ShownGuest> => host().until(PLAIN, 'a guest at its floor', isAtFloor);

    pair.test('whoever takes its place is listened to', async () => {
      const before = await untilFloor();
      floor = held(before);
      assert.notEqual(before.reading?.committedPages, COMMIT_MIB * 256);
      liar = await startLiar(guest(PLAIN));
      await liar.say([`Committed_AS: ${COMMIT_MIB * 1_024} kB`]);
      await host().until(
        PLAIN,
        'a larger guest',
        (one) => held(one) >= COMMIT_MIB * 256 && one.reading?.committedPages === COMMIT_MIB * 256,
      );
    });

    for (const [what, line, isShown] of LIES) {
      pair.test(`${what} hurts nobody else`, async () => {
        await liar.say([line]);
        const shown = await host().until(PLAIN, what, isShown);
        assert.ok(held(shown) <= MEMORY_PAGES);
        await otherGoesOn(pair);
      });
    }

    // Files that were not opened in time are left alone for a minute: that all is as before is seen in what comes next.
    pair.test('a line of 100 MB is not taken in, and its connection is ended', async (t) => {
      // What the last lie has led to is over then.
      await liar.say([]);
      await untilFloor();
      await liar.flood();
      await pair.untilFloodIsSeen();
      await otherGoesOn(pair);
      const { residentMib } = host();
      t.diagnostic(`the daemon holds ${Math.round(residentMib)} MiB`);
      assert.ok(residentMib < RESIDENT_MIB_MAX);
      await liar.close();
    });
  });

  describe('when one lies as our own agent', { concurrency: 1 }, () => {
    const report = (text: string): Promise<string> => guest(PLAIN).run(`printf '\\n%s\\n' ${quote(text)} > ${PORT}`);
    const untilRefused = (what: string, isSo: (refusal: string | null) => boolean): Promise<ShownGuest> =>
      host().until(PLAIN, what, ({ reading }) => reading !== null && isSo(reading.refusal));

    const untilNonsense = (): Promise<ShownGuest> =>
      untilRefused('word of the nonsense', (refusal) => refusal !== null);
    const untilUnderstood = (): Promise<ShownGuest> =>
      untilRefused('an understood report', (refusal) => refusal === null);
    /** What it holds after some more looks. */
    const heldThen = async (): Promise<number> => {
      const looks = new Set<number>();
      const shown = await host().until(PLAIN, 'looks at it', ({ reading, currentPages }) => {
        if (reading !== null) looks.add(reading.atMs);
        return looks.size > LOOKS && currentPages !== null;
      });
      return held(shown);
    };

    pair.test('what is no report is told, and what is none of its numbers is not used', async () => {
      // Nonsense at the very beginning may be the rest of a line that was begun before anybody listened.
      await report('{"v":1,"beat":0}');
      for (const [n, lie] of ['-1', '1e300', '9223372036854775808', '"x"'].entries()) {
        // Only after nonsense it is seen that what follows is understood.
        await report('{');
        await untilNonsense();
        await report(`{"v":1,"beat":${n + 1},"total":${lie},"committed":${lie},"swapTotal":${lie},"refaults":${lie}}`);
        await untilUnderstood();
        const now = await heldThen();
        // It may be on its way back to its floor, now that its agent is heard again. Now as then it stops a page or so from that.
        assert.ok(now >= floor - 2 * NEAR_PAGES && now <= MEMORY_PAGES, `${now} pages, and ${floor} are its floor`);
      }
      await otherGoesOn(pair);
    });

    pair.test('a line of 100 MB is let go by, and the next one heard', async (t) => {
      const command = `sh -c "head -c ${FLOOD_BYTES} /dev/zero | tr '\\\\0' x > ${PORT}"`;
      const flood = await guest(PLAIN).startProgram(command, 'flood');
      await otherGoesOn(pair);
      const { residentMib } = host();
      t.diagnostic(`the daemon holds ${Math.round(residentMib)} MiB`);
      assert.ok(residentMib < RESIDENT_MIB_MAX);
      await flood.waitForEnd(WAIT_MS);
      await untilNonsense();
      await report('{"v":1,"beat":90}');
      await untilUnderstood();
      // An agent that ends leaves nobody to tell whether memory gets tight: its guest is whole for a while.
      await report('{"v":1,"ends":true}');
      await host().until(PLAIN, 'a whole guest', (one) => held(one) === MEMORY_PAGES);
    });
  });
}
