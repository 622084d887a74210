/**
 * Protects that a guest whose kernel does not bring online what is plugged in costs its host no memory: what is of no use to it goes
 * back, a person is told once, and it is asked again after growing pauses, so that one that was put right grows.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { believable } from '../../src/control/believe.js';
import { createReplay } from '../../src/control/journal.js';
import type { Reading } from '../../src/control/reading.js';
import { knownAt, type Signal } from '../../src/control/signal.js';
import { createStep } from '../../src/control/step.js';
import { decodeRecord } from '../../src/cli/journal/decode-record.js';
import { hostPolicy } from '../../src/policies/index.js';
import { PublishedState } from '../../src/runtime/read-model.js';
import { statusOf } from '../../src/server/status.js';
import { KernelShare } from '../../src/signals/kernel-share.js';
import { withTotal } from '../../src/signals/outside-balloon.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

const BOOT = 200_000;
const KEPT = 3_000;

interface Case {
  readonly host: SharedHost;
  readonly guest: SharedGuest;
  /** Most that its kernel brings online, from now on. */
  allow: (most: number) => void;
}

/** A guest that needs more than its boot memory after a minute; what it says is looked at as by an adapter. */
function caseOf(most: number, lines: string[] = []): Case {
  const share = new KernelShare({ isHostLate: false });
  const guest = sharedGuest({ held: BOOT, maximum: BOOT, pluggable: 400 * BLOCK });
  let allowed = most;
  const sight = (reading: Reading): Reading => {
    const total = guest.held + Math.min(guest.plugged, allowed) - KEPT;
    return share.settle({ ...reading, ...withTotal(reading, knownAt(pages(total), reading.at)) });
  };
  const record = (entry: unknown): void => void lines.push(JSON.stringify(entry));
  const host = new SharedHost({ total: 800_000, guests: { guest }, sight, record });
  host.liveUntil(60);
  guest.committed = 300_000;
  return { host, guest, allow: (size) => void (allowed = size) };
}

/** What its control remembers of requests that came to nothing. */
function upOf({ state }: SharedHost): { readonly count: number; readonly retryAtMs: number | null } | null {
  const up = state.guests.get('guest')?.growth?.up ?? null;
  return up === null ? null : { count: up.times, retryAtMs: up.until };
}

const toldStuck = ({ told }: SharedHost): number => told.filter((line) => line === 'guest stuck').length;

describe('a guest that does not bring online what is plugged in', () => {
  it('gives it back to its host, and holds it for less than a minute of half an hour later', () => {
    const { host, guest } = caseOf(0);
    let most = 0;
    const plugged: number[] = [];
    for (let second = 61; second <= 3_660; second += 1) {
      host.liveUntil(second);
      most = Math.max(most, guest.plugged);
      if (second > 1_860) plugged.push(guest.plugged);
    }
    assert.ok(most > 0, 'it was never tried');
    assert.equal(guest.held, BOOT);
    assert.ok(plugged.filter((size) => size > 0).length < 60, `${plugged.filter((size) => size > 0).length} s`);
    assert.ok(host.growths.length < 30, `${host.growths.length} requests in an hour`);
  });

  it('is told of once, and is left out meanwhile', () => {
    const { host } = caseOf(0);
    host.liveUntil(120);
    assert.equal(host.state.guests.get('guest')?.decision?.reason.code, 'left-out');
    host.liveUntil(3_600);
    assert.equal(toldStuck(host), 1);
    assert.ok(!host.told.includes('guest obeys-again'));
  });

  it('is shown as it is, with each further try that the log does not tell of', () => {
    const { host } = caseOf(0);
    let offline = 0;
    const whys = new Set<string>();
    for (let second = 61; second <= 1_800; second += 1) {
      host.liveUntil(second);
      const { guests } = statusOf(new PublishedState([], host.state, millis(second * 1_000)).snapshot());
      offline = Math.max(offline, guests[0]?.reading?.offlinePages ?? 0);
      whys.add(guests[0]?.why ?? '');
      const up = guests[0]?.growthFailures?.up ?? null;
      assert.deepEqual(up, upOf(host));
    }
    assert.ok(offline > 0);
    assert.ok((upOf(host)?.count ?? 0) > 2);
    const shown = [...whys];
    const tries = 'did not use what was plugged in';
    assert.ok(
      shown.some((why) => /^\d+ MiB that are plugged in are offline; did not use/.test(why)),
      shown.join('\n'),
    );
    assert.ok(shown.some((why) => why.startsWith(`${tries} (1 try, next in 1 min at the earliest); `)));
    assert.ok(shown.some((why) => why.startsWith(`${tries} (3 tries, next in 4 min at the earliest); `)));
    assert.equal(toldStuck(host), 1);
  });

  it('keeps what came online, and gives back the rest', () => {
    const { host, guest } = caseOf(32 * BLOCK);
    host.liveUntil(120);
    assert.equal(guest.plugged, 32 * BLOCK);
    assert.equal(guest.plugTarget, 32 * BLOCK);
    assert.equal(toldStuck(host), 1);
  });

  it('grows when it was put right', () => {
    const { host, guest, allow } = caseOf(0);
    host.liveUntil(600);
    allow(BOOT);
    host.liveUntil(600 + 17 * 60);
    assert.ok(guest.held + guest.plugged >= 300_000, `${guest.held + guest.plugged}`);
    assert.equal(host.told.filter((line) => line === 'guest obeys-again').length, 1);
  });

  it('that does not let go of it either is asked a limited number of times', () => {
    const { host, guest } = caseOf(0);
    guest.plugging = 'keeps';
    host.liveUntil(8 * 3_600);
    const { length } = host.growths;
    host.liveUntil(12 * 3_600);
    assert.ok(length < 60, `${length} requests`);
    assert.equal(host.growths.length, length);
    assert.equal(guest.plugTarget, guest.plugged);
    assert.equal(guest.held, BOOT, 'its balloon has taken what it needs');
  });

  it('is asked for nothing after release', () => {
    const { host, guest } = caseOf(0);
    host.liveUntil(69);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(200);
    const sizes = host.growths.map(({ plugged }) => plugged);
    assert.ok(guest.plugged > 0);
    assert.ok(
      sizes.every((size, place) => size >= (sizes[place - 1] ?? 0)),
      sizes.join(' '),
    );
    assert.equal(toldStuck(host), 0);
  });

  it('has a journal that replays to the same decisions', () => {
    const lines: string[] = [];
    const { host } = caseOf(0, lines);
    host.liveUntil(900);
    const replay = createReplay(() => createStep(hostPolicy));
    for (const line of lines) {
      const decoded = decodeRecord(JSON.parse(line));
      assert.ok(decoded.kind === 'record', line);
      assert.equal(replay.take(decoded.record), null);
    }
    assert.ok(lines.some((line) => line.includes('"offline":{"known":true')));
  });
});

describe('a guest that brings online what is plugged in', () => {
  it('is never told of, and never asked for less while it needs more', () => {
    const { host } = caseOf(BOOT);
    host.liveUntil(600);
    assert.equal(toldStuck(host), 0);
    const sizes = host.growths.map(({ plugged }) => plugged);
    assert.ok(sizes.length > 0 && sizes.every((size, place) => size >= (sizes[place - 1] ?? 0)), sizes.join(' '));
  });
});

describe('what is offline', () => {
  it('is believed as a part of what is plugged in, and only so', () => {
    const at = millis(1_000);
    const size = (value: number): Signal<Pages> => knownAt(pages(value), at);
    const offlineOf = (offline: number): unknown => {
      const growth = { plugged: size(1_000), asked: size(1_000), pluggable: size(2_000), offline: size(offline) };
      return believable({ ...readingOf({ at }), growth }, at, millis(5_000)).growth?.offline?.known;
    };
    assert.deepEqual([offlineOf(1_000), offlineOf(1_001)], [true, false]);
  });
});
