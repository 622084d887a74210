/**
 * Protects that the looks at all domains find statistics that their guests have just given: a few domains' polling begins anew before each
 * look, everybody has a turn, and nothing is left otherwise than it was.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../qmp/support/opened.js';
import { domainOf, openRig, Rig } from './support/rig.js';

const SECOND = 1_000;

interface Setting {
  readonly domain: string;
  readonly period: number;
  readonly at: number;
}

/** A host of `count` domains whose statistics are on, and all periods that are set from now on. */
async function opened(test: TestContext, count: number): Promise<{ readonly rig: Rig; readonly settings: Setting[] }> {
  const names = Array.from({ length: count }, (_, n) => `d${n}`);
  const rig = await openRig(test, ...names);
  await until('all are on', () => rig.libvirt.domains.every(({ period }) => period === 1));
  const settings: Setting[] = [];
  rig.libvirt.tamper = (line) => {
    const [, uuid, period] = /^dommemstat (\S+) --period (\d+) --live$/.exec(line) ?? [];
    const domain = rig.libvirt.domains.find((one) => one.uuid === uuid)?.name;
    if (domain !== undefined) settings.push({ domain, period: Number(period), at: rig.clock.now() });
    return undefined;
  };
  return { rig, settings };
}

/** Looks at all, once a second. Ends a second after the last look. */
async function lookEachSecond(rig: Rig, count: number): Promise<void> {
  const ids = rig.libvirt.domains.map(({ name }) => `libvirt/${name}`);
  for (let look = 0; look < count; look += 1) {
    await rig.look(ids);
    await rig.pass(SECOND);
  }
}

const periodsOf = (settings: readonly Setting[], name: string): readonly number[] =>
  settings.flatMap(({ domain, period }) => (domain === name ? [period] : []));

describe('the statistics of a domain of which nobody else tells', () => {
  it('are polled anew 50 ms before a look, off and on again, every 10 s', async (test) => {
    const { rig, settings } = await opened(test, 1);
    await lookEachSecond(rig, 12);
    assert.deepEqual(periodsOf(settings, 'd0'), [0, 1, 0, 1]);
    assert.deepEqual(
      settings.map(({ at }) => at),
      [950, 950, 10_950, 10_950],
    );
  });

  it('are polled anew for eight domains before each look, so that each has its turn', async (test) => {
    const { rig, settings } = await opened(test, 20);
    await lookEachSecond(rig, 3);
    const turns = [950, 1_950, 2_950].map(
      (at) => new Set(settings.flatMap((one) => (one.at === at ? [one.domain] : []))).size,
    );
    assert.deepEqual(turns, [8, 8, 4]);
    for (const { name, period } of rig.libvirt.domains) {
      assert.deepEqual(periodsOf(settings, name), [0, 1]);
      assert.equal(period, 1);
    }
  });

  it('are switched on again though libvirt refuses to switch them off', async (test) => {
    const { rig } = await opened(test, 1);
    const lines: string[] = [];
    rig.libvirt.tamper = (line) => {
      if (line.startsWith('dommemstat')) lines.push(line);
      return line.includes('--period 0') ? '\nerror: internal error: it is busy\n' : undefined;
    };
    await lookEachSecond(rig, 4);
    assert.match(lines.join('\n'), /--period 0 --live\n.*--period 1 --live$/);
    assert.equal(domainOf(rig, 'd0').period, 1);
  });

  it('are polled anew for as many domains as libvirt manages before the look, and for the others before the next', async (test) => {
    const { rig } = await opened(test, 5);
    const turns: [number, string][] = [];
    rig.libvirt.tamper = (line) => {
      const [, n, period] = /^dommemstat \S+(\d) --period (\d) --live$/.exec(line) ?? [];
      if (n === undefined) return undefined;
      turns.push([rig.clock.now(), `${n}:${period ?? ''}`]);
      return rig.after(12, '\n');
    };
    await lookEachSecond(rig, 4);
    // Each takes 24 ms of the 35 that there are: the second of each round is late, and has another turn when all have had one.
    assert.deepEqual(
      turns.flatMap(([at, turn]) => (turn.endsWith(':0') ? [`${at} ${turn[0] ?? ''}`] : [])),
      ['950 1', '974 2', '1950 3', '1974 4', '2950 5', '2974 2', '3950 4', '3974 2'],
    );
    assert.equal(new Set(turns.map(([, turn]) => turn)).size, 10, 'each domain has had both commands');
    rig.libvirt.tamper = () => undefined;
  });

  it('are polled anew in turn also where libvirt refuses that for many each time', async (test) => {
    const { rig } = await opened(test, 9);
    const turns: string[] = [];
    rig.libvirt.tamper = (line) => {
      const [, n, period] = /^dommemstat \S+(\d) --period (\d) --live$/.exec(line) ?? [];
      if (period === '0' && n !== undefined) turns.push(n);
      return n === undefined || n === '9' ? undefined : '\nerror: internal error: it is busy\n';
    };
    await lookEachSecond(rig, 3);
    assert.equal(turns.indexOf('9'), 8, turns.join());
    rig.libvirt.tamper = () => undefined;
  });

  it('of one that hangs in its turn keep nobody else’s from theirs', async (test) => {
    const { rig, settings } = await opened(test, 3);
    let release: () => void = () => undefined;
    domainOf(rig, 'd0').held = new Promise((resolve) => (release = resolve));
    await lookEachSecond(rig, 4);
    assert.deepEqual(
      ['d1', 'd2'].map((name) => periodsOf(settings, name)),
      [
        [0, 1],
        [0, 1],
      ],
    );
    assert.deepEqual(periodsOf(settings, 'd0'), [0]);
    release();
  });

  it('are left alone while libvirt cannot ask its QEMU at once', async (test) => {
    const { rig, settings } = await opened(test, 2);
    domainOf(rig, 'd0').lastUpdate = null;
    await lookEachSecond(rig, 4);
    assert.deepEqual(periodsOf(settings, 'd0'), []);
    assert.deepEqual(periodsOf(settings, 'd1'), [0, 1]);
  });

  it('are put back after what is under way, and not polled anew after that', async (test) => {
    const { rig } = await opened(test, 1);
    const domain = domainOf(rig, 'd0');
    let release: () => void = () => undefined;
    domain.held = new Promise((resolve) => (release = resolve));
    await lookEachSecond(rig, 1);
    const closing = rig.host.close();
    release();
    await closing;
    assert.equal(domain.period, 0);
    await rig.pass(2 * SECOND);
    assert.equal(domain.period, 0);
  });
});

describe('the statistics of a domain that were on before', () => {
  const openedOn = async (test: TestContext): Promise<Rig> => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    rig.libvirt.add('one', { period: 1 });
    rig.watch();
    await rig.untilLog('came libvirt/one');
    return rig;
  };

  it('are on at the end where libvirt did not switch them on again after a turn', async (test) => {
    const rig = await openedOn(test);
    rig.libvirt.tamper = (line) => (line.includes('--period 1') ? '\nerror: internal error: it is busy\n' : undefined);
    await lookEachSecond(rig, 1);
    assert.equal(domainOf(rig, 'one').period, 0, 'its turn ended with statistics off');
    rig.libvirt.tamper = () => undefined;
    await rig.host.close();
    assert.equal(domainOf(rig, 'one').period, 1);
  });

  it('are left as they are at the end where they are on for certain', async (test) => {
    const rig = await openedOn(test);
    await lookEachSecond(rig, 1);
    const settings = (): readonly string[] => rig.libvirt.asked.filter((line) => line.includes('--period'));
    assert.equal(settings().length, 2, 'it had its turn');
    await rig.host.close();
    assert.equal(settings().length, 2);
  });
});

describe('the statistics of domains in which nothing is to be changed', () => {
  it('are left on or off, as they were, also at the end, and those that are off are told of once', async (test) => {
    const rig = new Rig({ asksAgent: true, hearsOwn: true }, false);
    test.after(() => rig.host.close());
    const [on, off] = [rig.libvirt.add('on', { period: 5 }), rig.libvirt.add('off')];
    rig.watch();
    await rig.untilLog('came libvirt/on', 'came libvirt/off');
    await lookEachSecond(rig, 60);
    await rig.host.close();
    assert.deepEqual([on.period, off.period], [5, 0]);
    assert.deepEqual(
      rig.libvirt.asked.filter((line) => line.includes('--period')),
      [],
    );
    assert.deepEqual(
      rig.told.filter((line) => line.includes('its statistics are off')).map((line) => line.split(':')[0]),
      ['guest libvirt/off'],
    );
  });
});
