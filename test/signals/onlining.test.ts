/**
 * Protects that plugged memory which a guest's kernel leaves offline is known as that, and is no part of what the kernel manages; and that
 * nothing else is taken for it: a slow guest, one whose balloon moves, one that speaks seldom or was found as it is.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_KNOWN, readingFrom, type Reading } from '../../src/control/reading.js';
import { knownAt, type Signal } from '../../src/control/signal.js';
import { FollowedGuest, residentAs } from '../../src/signals/followed-guest.js';
import { outsideBalloon } from '../../src/signals/outside-balloon.js';
import { growthOf, ownSizes } from '../../src/signals/plugged.js';
import { mib, mibToPages, millis, type Millis, type Pages } from '../../src/units.js';

const inPages = (size: number): Pages => mibToPages(mib(size));
const inMib = (signal: Signal<Pages> | undefined): number | null | undefined =>
  signal === undefined ? undefined : signal.known ? signal.value / 256 : null;

const BOOT = 384;
const KEPT = 55;

interface Life {
  readonly deflatesOnOom?: boolean;
  readonly isHostLate?: boolean;
  /** Seconds from one word of the guest to the next. */
  readonly speaksEvery?: number;
  /** How old a word is when it is looked at, in seconds. Below 0: it was given during the look. */
  readonly age?: number;
}

/** A guest that is looked at every second. Sizes in MiB. */
class Watched {
  boot = BOOT;
  plugged = 0;
  online = 0;
  kept = KEPT;
  isSpeaking = true;
  second = 0;
  /** What was said to be offline: null while it is not known, undefined where nothing is missing. */
  readonly offline: (number | null | undefined)[] = [];
  #total: Signal<Pages> = NOTHING_KNOWN.total;
  readonly #life: Life;
  readonly #followed: FollowedGuest;

  constructor(life: Life = {}) {
    this.#life = life;
    this.#followed = new FollowedGuest({ isHostLate: life.isHostLate ?? false });
  }

  /** Looks so often; `live` is what happens in a second before the guest is looked at. */
  look(times: number, live: () => void = () => undefined): Reading {
    const readings = Array.from({ length: times }, () => {
      const { speaksEvery = 1, age = -0.1 } = this.#life;
      this.second += 1;
      const speaks = this.isSpeaking && this.second % speaksEvery === 0;
      if (age > 0 && speaks) this.#speak(millis((this.second - age) * 1_000));
      live();
      if (age <= 0 && speaks) this.#speak(millis((this.second - age) * 1_000));
      return this.#read();
    });
    return readings.at(-1) ?? assert.fail();
  }

  #speak(at: Millis): void {
    const own = this.#life.deflatesOnOom === true ? BOOT : this.boot;
    this.#total = knownAt(inPages(own + this.online - this.kept), at);
  }

  #read(): Reading {
    const [said, plugged, base] = [inPages(this.boot), inPages(this.plugged), inPages(BOOT)];
    const { deflatesOnOom = false } = this.#life;
    const seen = { plugged, asked: plugged, pluggable: inPages(512) };
    const own = ownSizes({ actual: said, base }, seen);
    const [begun, at] = [millis(this.second * 1_000), millis(this.second * 1_000 + 200)];
    const reading = this.#followed.read(
      { said, asked: said, plugged, at: begun, residence: residentAs(null) },
      {
        onMoreUntouched: () => undefined,
        makeReading: ({ before }) => {
          const sight = {
            current: own.actual,
            base: own.base,
            deflatesOnOom,
            heldAt: (time: Millis) => before.at(time),
          };
          const signals = outsideBalloon({ ...NOTHING_KNOWN, total: this.#total }, sight);
          const [current, maximum] = [knownAt(said, at), knownAt(base, at)];
          const sizes = readingFrom(signals, { at, current, maximum, asked: current });
          return { ...sizes, ...growthOf({ current, maximum }, seen, at) };
        },
      },
    );
    this.offline.push(inMib(reading.growth?.offline));
    return reading;
  }
}

const everOffline = ({ offline }: Watched): boolean => offline.some((size) => typeof size === 'number');
const lives: Readonly<Record<string, Life>> = {
  'that is asked at each look': {},
  'whose balloon says so': { age: 0.4 },
  'whose balloon says so, seldom': { age: 0.4, speaksEvery: 3 },
  'that may deflate its balloon itself': { deflatesOnOom: true, age: 0.4 },
  'whose host is late': { isHostLate: true },
};

for (const [name, life] of Object.entries(lives)) {
  describe(`plugged memory of a guest ${name}`, () => {
    const resting = (): Watched => {
      const guest = new Watched(life);
      guest.look(10);
      return guest;
    };

    it('is offline when it has not come online for ten seconds, and no part of its total', () => {
      const guest = resting();
      guest.plugged = 28;
      assert.equal(inMib(guest.look(1).growth?.offline), null, 'it may come yet');
      const reading = guest.look(20);
      assert.equal(inMib(reading.growth?.offline), 28);
      assert.equal(inMib(reading.total), BOOT - KEPT);
    });

    it('is offline though more and more of it is plugged in', () => {
      const guest = resting();
      for (let times = 0; times < 4; times += 1) {
        guest.plugged += 28;
        guest.look(7);
      }
      assert.equal(inMib(guest.look(1).growth?.offline), 112);
      assert.equal(inMib(guest.look(1).total), BOOT - KEPT);
    });

    it('is on its way as long as blocks come online, one after the other and slowly', () => {
      const guest = resting();
      guest.plugged = 512;
      for (let block = 0; block < 4; block += 1) {
        guest.look(6);
        guest.online += 128;
      }
      const reading = guest.look(5);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
      assert.deepEqual([inMib(reading.total), inMib(reading.growth?.offline)], [BOOT + 512 - KEPT, undefined]);
    });

    it('is offline in part where some blocks came online, and is not once the rest does', () => {
      const guest = resting();
      Object.assign(guest, { plugged: 256, online: 128 });
      const reading = guest.look(20);
      assert.deepEqual([inMib(reading.total), inMib(reading.growth?.offline)], [BOOT + 128 - KEPT, 128]);
      guest.online = 256;
      const after = guest.look(7);
      assert.deepEqual([inMib(after.total), inMib(after.growth?.offline)], [BOOT + 256 - KEPT, undefined]);
    });

    it('that is taken back is missing no more, and is looked at anew when it is plugged in again', () => {
      const guest = resting();
      guest.plugged = 28;
      guest.look(20);
      guest.plugged = 0;
      assert.equal(inMib(guest.look(4).growth?.offline), undefined);
      assert.equal(inMib(guest.look(1).total), BOOT - KEPT);
      guest.plugged = 28;
      assert.equal(inMib(guest.look(4).growth?.offline), null);
      assert.equal(inMib(guest.look(16).growth?.offline), 28);
    });

    it('is not offline because the balloon moves meanwhile', () => {
      const guest = resting();
      guest.plugged = 128;
      guest.look(1);
      guest.online = 128;
      guest.look(30, () => {
        guest.boot -= 7;
      });
      guest.look(30, () => {
        guest.boot += 7;
      });
      guest.look(20);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
    });

    it('is not offline because the kernel keeps more than before', () => {
      const guest = resting();
      Object.assign(guest, { plugged: 128, online: 128 });
      guest.look(10);
      guest.kept += 14;
      const reading = guest.look(30);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
      assert.equal(inMib(reading.total), BOOT + 128 - KEPT - 14);
    });

    it('is not offline because nobody in the guest speaks', () => {
      const guest = resting();
      guest.isSpeaking = false;
      guest.plugged = 128;
      guest.look(60);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
      Object.assign(guest, { isSpeaking: true, online: 128 });
      assert.equal(inMib(guest.look(7).growth?.offline), undefined);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
    });

    it('is not offline where it was found, also if it comes online later', () => {
      const guest = new Watched(life);
      Object.assign(guest, { plugged: 256, isSpeaking: false });
      guest.look(10);
      guest.isSpeaking = true;
      guest.look(20);
      assert.equal(inMib(guest.look(1).total), BOOT - KEPT);
      guest.online = 256;
      const reading = guest.look(20);
      assert.ok(!everOffline(guest), guest.offline.join(' '));
      assert.equal(inMib(reading.total), BOOT + 256 - KEPT);
    });
  });
}
