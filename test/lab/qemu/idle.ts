/**
 * The original job from outside: guests that do nothing give back all that they may, by the law on what their guest agents say, and the
 * host has the memory, whether or not a guest also tells it of pages that it does not use.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import {
  assertReplays,
  decidedIn,
  inputsOf,
  lastRun,
  ofGuest,
  targetsIn,
  valueOf,
  type Decided,
} from '../xen/journal.js';
import { balloonTargetOf, floorOf, zonesOf } from '../xen/specification.js';
import { held as heldPages, isAtFloor, PLAIN, REPORTING, type Pair } from './pair.js';

/** The driver stops a page or so from its target. */
const NEAR_PAGES = 4;
/** What the emulator has of its own beside its guest's memory: seen, 16 to 24 MiB. */
const EMULATORS_OWN_MIB = 48;
/** So much of what was used and is free again is not held any more for a guest that tells of it. */
const REPORTED_MIB = 150;
const REST_LIMIT_MS = 60_000;
/** From the whole guest to its floor by an eighth of the way at a time. */
const DECISIONS_MIN = 8;

/** To be called in the suite of the pair, of which no daemon has asked anything yet. */
export function idle(pair: Pair): void {
  const { names, guest, host } = pair;
  const decided = new Map<string, readonly Decided[]>();
  const zoneinfo = new Map<string, string>();
  let journal = '';

  describe('idle', { concurrency: 1 }, () => {
    pair.test('both go down to their floors, and their host has the memory', async (t) => {
      const own = (name: string): number => guest(name).memory.anonymousMib;
      // The guest's kernel tells of free pages now and then.
      await waitFor({ what: 'word of free pages', limitMs: REST_LIMIT_MS }, () =>
        Promise.resolve(own(REPORTING) < own(PLAIN) - REPORTED_MIB ? true : null),
      );
      const before = names.map(own);
      host().start();
      for (const name of names) await host().until(name, 'a guest at its floor', isAtFloor);
      for (const [n, name] of names.entries()) {
        const after = own(name);
        const shown = await host().until(name, 'what it holds', ({ currentPages }) => currentPages !== null);
        const held = heldPages(shown) / PAGES_PER_MIB;
        t.diagnostic(
          `${name}: holds ${held.toFixed(1)} MiB; its emulator held ${before[n]?.toFixed(0)} MiB of its own memory before, ` +
            `${after.toFixed(0)} MiB now`,
        );
        assert.ok(after < held + EMULATORS_OWN_MIB, `${after} MiB for a guest that holds ${held}`);
        assert.equal((await guest(name).load.look()).count('oom_kill'), 0);
        zoneinfo.set(name, await guest(name).run('cat /proc/zoneinfo'));
      }
      journal = host().journal;
      for (const name of names) decided.set(name, decidedIn(ofGuest(lastRun(journal), pair.id(name))));
    });

    for (const name of names) {
      pair.test(`${name}: comes to rest on the floor that the specification gives for its own zones`, () => {
        const last = decided.get(name)?.filter(isByLaw).at(-1);
        assert.ok(last !== undefined);
        const inputs = inputsOf(last);
        const zones = zonesOf(zoneinfo.get(name) ?? '');
        assert.deepEqual(zones, { reserve: inputs.totalreservePages, maxPfn: inputs.maxPfn });
        const floor = floorOf({ ...inputs, totalreservePages: zones.reserve, maxPfn: zones.maxPfn });
        assert.ok(Math.abs(inputs.totalramPages - floor) <= NEAR_PAGES, `${inputs.totalramPages} is not ${floor}`);
        assert.equal(last.decision.target, floor + inputs.balloonCurrentPages - inputs.totalramPages);
        return Promise.resolve();
      });

      pair.test(`${name}: was told at each step what the specification says for the numbers in the journal`, (t) => {
        const all = decided.get(name) ?? [];
        const lawful = all.filter(isByLaw);
        t.diagnostic(`${lawful.length} of ${all.length} decisions by the rule`);
        assert.ok(lawful.length > DECISIONS_MIN && lawful.length > all.length / 2);
        let targets = 0;
        for (const one of lawful) {
          const expected = Math.min(balloonTargetOf(inputsOf(one)), valueOf(one.reading.maximum));
          assert.equal(one.decision.target, expected);
          for (const { target } of targetsIn(one.step)) {
            assert.equal(target, expected);
            targets += 1;
          }
        }
        assert.ok(targets > DECISIONS_MIN, `only ${targets} targets`);
        return Promise.resolve();
      });
    }

    pair.test('they leave a journal that replays to the same decisions', () => assertReplays(journal));
  });
}

/** On a busy machine what the agent said may be too old when it is decided about; then there is no law to go by. */
const isByLaw = ({ decision }: Decided): boolean => decision.reason.numbers['committed'] !== undefined;
