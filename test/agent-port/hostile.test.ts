/** Protects the host from a guest: whatever it sends, and however much, costs a fixed amount of memory and of time, and no exception. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Intake } from '../../src/agent-port/intake.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { reportText } from '../support/report-text.js';
import { useSeed } from '../support/seed.js';
import { Rig, until } from './support/fake-guest.js';

useSeed();

const MIB = 2 ** 20;
const line = (beat: number, more: Readonly<Record<string, unknown>> = {}): string => `${reportText(beat, more)}\n`;

/** Sends all of it, as fast as it is taken, while time goes on. */
async function flood(rig: Rig, pieces: number, piece: Buffer): Promise<void> {
  const { client } = rig.guest;
  for (let sent = 0; sent < pieces; sent += 1) {
    if (!client.write(piece))
      await until(
        'there is room',
        () => !client.writableNeedDrain,
        () => rig.to(rig.clock.now() + 50),
      );
  }
}

describe('a guest that floods its port', () => {
  it('with one line of 100 MB is refused with a word, holds no memory, and is heard again after it', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    const before = process.memoryUsage();
    await flood(rig, 100, Buffer.alloc(MIB, 0x78));
    const after = process.memoryUsage();
    assert.match(rig.port.refusal ?? '', /longer than 2048 characters/);
    const grown = after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed;
    assert.ok(grown < 32 * MIB, `${grown} bytes more are held`);
    rig.guest.client.write(`\n${line(2)}`);
    await until(
      'it is heard again',
      () => rig.port.refusal === null,
      () => rig.to(rig.clock.now() + 50),
    );
    assert.ok(rig.clock.now() >= 24_000, 'a hundred MiB at 4 MiB a second');
  });

  it('with reports is looked at 40 times a second, and its newest is what counts', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    for (let at = 1_000; at < 3_000; at += 5) {
      await rig.to(at);
      rig.guest.client.write(line(at, { committed: at * 4 }));
      await rig.settle();
    }
    assert.ok(rig.reports <= 1 + 2 * 40, `${rig.reports} were looked at`);
    await rig.to(4_000);
    const { committed } = rig.port.signals();
    assert.deepEqual(committed, { known: true, value: 2_995, at: 2_995 });
  });

  it('has to wait: no more than 4 MiB a second are read from it', async (test) => {
    const rig = await Rig.open(test);
    const { client } = rig.guest;
    const piece = Buffer.alloc(MIB, '{}\n');
    for (let sent = 0; sent < 64; sent += 1) client.write(piece);
    await rig.settle();
    await rig.settle();
    const taken = (): number => client.bytesWritten - client.writableLength;
    // Besides, the kernel keeps some in the socket.
    assert.ok(taken() < 8 * MIB, `${taken()} bytes were taken in no time`);
    await rig.to(1_000);
    await rig.settle();
    assert.ok(taken() < 12 * MIB, `${taken()} bytes were taken in a second`);
  });
});

describe('whatever a guest sends', () => {
  it('is never an exception, and no more lines are looked at than are allowed', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .constantFrom('\n', '\r\n', '{', '{"v":1', '{"v":1,"beat":1}', '{"v":1,"ends":true}', '{"v":1,"beat":1e999}')
        .map((text) => Buffer.from(text)),
      fc.integer({ min: 0, max: 5_000 }).map((length) => Buffer.alloc(length, 0x78)),
    );
    const step = fc.tuple(piece, fc.integer({ min: 0, max: 300 }));
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new VirtualClock();
        const looks: number[] = [];
        const intake = new Intake({
          clock,
          lineBytesMax: 2_048,
          onLine: (text) => {
            looks.push(clock.now());
            assert.ok(text === null || text.length <= 2_048);
          },
          pause: () => undefined,
          resume: () => undefined,
        });
        for (const [bytes, pause] of steps) {
          intake.take(bytes);
          await clock.advanceTo(millis(clock.now() + pause));
        }
        for (const at of looks) {
          const within = looks.filter((other) => other >= at && other < at + 1_000).length;
          // Forty in each second that is counted, and two of those touch any second.
          assert.ok(within <= 80, `${within} looks within a second`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('ends as unknown or as something believable, over the real socket', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    for (const text of [
      'null',
      '[]',
      '{"v":1}',
      '{"v":1,"beat":-1}',
      '\u0000',
      '"',
      '{"__proto__":{"v":1,"beat":1}}',
    ]) {
      await rig.say(`${text}\n`);
      assert.notEqual(rig.port.refusal, null, text);
      await rig.say(line(1));
      assert.equal(rig.port.refusal, null, text);
    }
    const odd = [-1, 2 ** 63, '1', null, { toString: 1 }];
    for (const [at, committed] of odd.entries()) {
      await rig.say(line(10 + at, { committed }));
      const signal = rig.port.signals().committed;
      assert.ok(signal?.known === false && signal.reason === 'malformed', JSON.stringify(committed));
      assert.equal(rig.port.signals().total?.known, true);
    }
  });
});
