/**
 * Protects the host's end of a guest's agent: what the guest says arrives with the time at which it came, an alarm is told once, a guest
 * without an agent is no error, and a connection that is lost is made again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LAST_WORD } from '../../src/signals/report.js';
import { reportText } from '../support/report-text.js';
import { Rig, until } from './support/fake-guest.js';

const line = (beat: number, more: Readonly<Record<string, unknown>> = {}): string => `${reportText(beat, more)}\n`;

/** More than once: the first may be the end of a line that was begun before, and counts for nothing. */
const sayNonsense = (rig: Rig): Promise<void> =>
  until(
    'it is refused',
    () => rig.port.refusal !== null,
    async () => {
      rig.guest.client.write('{}\n');
      await rig.settle();
    },
  );

describe('an agent’s port', () => {
  it('has what the guest says, with the time at which it came', async (test) => {
    const rig = await Rig.open(test);
    await rig.to(5_000);
    await rig.say(line(1));
    await rig.to(9_000);
    const { committed, total, current } = rig.port.signals();
    assert.deepEqual(committed, { known: true, value: 20_000, at: 5_000 });
    assert.deepEqual([total?.known, current], [true, undefined]);
    assert.equal(rig.port.refusal, null);
    await rig.say(line(2, { committed: 40_000 }));
    assert.deepEqual(rig.port.signals().committed, { known: true, value: 10_000, at: 9_000 });
  });

  it('takes a report in whatever pieces it comes', async (test) => {
    const rig = await Rig.open(test);
    const text = `\n${line(1)}`;
    for (let at = 0; at < text.length - 1; at += 100) {
      rig.guest.client.write(text.slice(at, Math.min(at + 100, text.length - 1)));
      await rig.settle();
      assert.deepEqual(rig.port.signals(), {});
    }
    await rig.say('\n');
    assert.equal(rig.port.signals().committed?.known, true);
  });

  it('says nothing of a guest that says nothing, and tells nobody', async (test) => {
    const rig = await Rig.open(test);
    await rig.to(200_000);
    await rig.settle();
    assert.deepEqual(rig.port.signals(), {});
    assert.deepEqual([rig.port.refusal, rig.alarms, rig.told], [null, [], []]);
  });

  it('takes a report that is repeated for no newer than it is', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(7));
    await rig.to(4_000);
    await rig.say(line(7));
    assert.deepEqual(rig.port.signals().committed, { known: true, value: 20_000, at: 0 });
  });

  it('knows nothing of another version, and keeps what it knew, which grows old', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    await rig.to(2_000);
    await rig.say(line(2, { v: 2 }));
    assert.match(rig.port.refusal ?? '', /version is "2", and this is 1/);
    assert.deepEqual(rig.port.signals().committed, { known: true, value: 20_000, at: 0 });
    await rig.say(line(3));
    assert.equal(rig.port.refusal, null);
  });

  it('of a guest that says nonsense only is unknown with the reason, and not “not reported”', async (test) => {
    const rig = await Rig.open(test);
    await sayNonsense(rig);
    const { committed } = rig.port.signals();
    assert.ok(committed?.known === false && committed.reason === 'malformed');
  });
});

describe('an alarm', () => {
  it('is told once, however many reports repeat it, and with what the guest had then', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    for (let beat = 2; beat < 6; beat += 1) {
      await rig.to(beat * 100);
      await rig.say(line(beat, { alarms: 1, alarm: 'stalled' }));
    }
    assert.deepEqual(rig.alarms, [{ cause: 'stalled', at: 200, availablePages: 40_000, totalPages: 60_000 }]);
    await rig.say(line(6, { alarms: 2, alarm: 'low' }));
    assert.deepEqual(rig.causes, ['stalled', 'low']);
  });

  it('from before anybody listened is old', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(900, { alarms: 12, alarm: 'low' }));
    assert.deepEqual(rig.alarms, []);
  });

  it('of an agent that was started again counts from the beginning', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(900, { alarms: 1, alarm: 'low' }));
    await rig.say(line(1));
    assert.deepEqual(rig.causes, []);
    await rig.say(line(2, { alarms: 1, alarm: 'stalled' }));
    assert.deepEqual(rig.causes, ['stalled']);
  });

  it('that was raised while we were not connected is told with the first report after that', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    rig.guest.client.destroy();
    await until(
      'it is connected again',
      () => rig.guest.clients.length === 2,
      () => rig.to(rig.clock.now() + 100),
    );
    await rig.say(line(4, { alarms: 1, alarm: 'low' }));
    assert.deepEqual(rig.causes, ['low']);
  });

  it('among lines that came together is not lost: the newest has the count', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    const alarmed = [2, 3, 4].map((beat) => line(beat, { alarms: 1, alarm: 'low' }));
    await rig.say(alarmed.join('') + line(5, { alarms: 1, alarm: 'low' }));
    assert.deepEqual(rig.causes, ['low']);
  });
});

describe('nonsense in a port of which no agent has ever spoken', () => {
  it('is told of for half a minute, and then other sources are heard again', async (test) => {
    const rig = await Rig.open(test);
    await sayNonsense(rig);
    await rig.to(30_000);
    assert.ok(rig.port.refusal !== null && rig.port.signals().committed?.known === false);
    await rig.to(31_000);
    assert.deepEqual([rig.port.refusal, rig.port.signals()], [null, {}]);
  });
});

describe('an agent that is silent', () => {
  it('raises an alarm after 30 s, once, and again when it was heard of in between', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    await rig.to(30_000);
    assert.deepEqual(rig.causes, []);
    await rig.to(300_000);
    assert.deepEqual(rig.alarms, [{ cause: 'silent', at: 30_001, availablePages: null, totalPages: null }]);
    await rig.say(line(2));
    await rig.to(400_000);
    assert.deepEqual(rig.causes, ['silent', 'silent']);
  });

  it('is as silent when it repeats itself or says nonsense', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    for (let at = 1_000; at <= 40_000; at += 1_000) {
      await rig.to(at);
      await rig.say(at % 2_000 === 0 ? line(1) : 'nonsense\n');
    }
    assert.deepEqual(rig.causes, ['silent']);
  });

  it('is not taken for it while we are not connected, nor for the 30 s after that', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    await rig.guest.stop();
    await until('it is lost', () => rig.told.length === 1);
    await rig.to(100_000);
    assert.deepEqual(rig.causes, []);
    await rig.guest.start();
    await until(
      'it is connected again',
      () => rig.guest.clients.length === 2,
      () => rig.to(rig.clock.now() + 10),
    );
    const from = rig.clock.now();
    await rig.to(from + 29_000);
    assert.deepEqual(rig.causes, []);
    await rig.to(from + 31_000);
    assert.deepEqual(rig.causes, ['silent']);
  });

  it('because it has ended in order is so at once, and then it is as if there had never been one', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    await rig.say(`${LAST_WORD}\n`);
    assert.deepEqual(rig.causes, ['silent']);
    assert.deepEqual(rig.port.signals(), {});
    await rig.to(100_000);
    assert.deepEqual(rig.causes, ['silent']);
    await rig.say(line(1));
    assert.equal(rig.port.signals().committed?.known, true);
    assert.deepEqual(rig.causes, ['silent']);
  });
});

describe('the connection', () => {
  it('is made when the machine is there, and a person hears once that it is not and once that it is', async (test) => {
    const rig = await Rig.open(test, { isRunning: false });
    await until(
      'it was tried',
      () => rig.told.length > 0,
      () => rig.to(rig.clock.now() + 1_000),
    );
    await rig.to(60_000);
    await rig.guest.start();
    await until(
      'it is connected',
      () => rig.guest.clients.length === 1,
      () => rig.to(rig.clock.now() + 1_000),
    );
    await until('it is told', () => rig.told.length === 2);
    assert.match(rig.told[0] ?? '', /agent's port at .*agent\.sock.* Does the virtual machine run/);
    assert.match(rig.told[1] ?? '', /connected to again/);
  });

  it('that begins in the midst of a line says nothing of it', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    rig.guest.client.destroy();
    await until(
      'it is connected again',
      () => rig.guest.clients.length === 2,
      () => rig.to(rig.clock.now() + 100),
    );
    rig.guest.client.write(line(2).slice(-50));
    await rig.settle();
    assert.equal(rig.port.refusal, null);
    await rig.say(line(3));
    assert.equal(rig.port.refusal, null);
    await rig.say(line(4).slice(-50));
    assert.notEqual(rig.port.refusal, null, 'later it is no rest of anything');
  });

  it('is ended with the port: no timer, nobody is told of anything', async (test) => {
    const rig = await Rig.open(test);
    await rig.say(line(1));
    rig.guest.client.write(line(2, { alarms: 1, alarm: 'low' }));
    await rig.port.close();
    await until('it is gone', () => rig.guest.client.readableEnded || rig.guest.client.destroyed);
    await rig.to(100_000);
    assert.deepEqual([rig.alarms, rig.told], [[], []]);
    assert.equal(rig.clock.nextTimerAt, null);
    await rig.port.close();
  });

  it('is given up at once when the port is closed while it is being made', async (test) => {
    let isGivenUp = false;
    const rig = await Rig.open(test, {
      isRunning: false,
      connect: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            isGivenUp = true;
            reject(new Error('given up'));
          });
        }),
    });
    await rig.port.close();
    assert.equal(isGivenUp, true);
    assert.deepEqual(rig.told, []);
  });
});
