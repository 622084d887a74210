/** Protects what is known of one run of a domain: that a guest is told of anew only when something else can be done with it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Domain } from '../../../src/hypervisors/libvirt/domain.js';
import { StatsPolling } from '../../../src/hypervisors/libvirt/stats-polling.js';
import { Inside } from '../../../src/inside/index.js';
import { VirtualClock } from '../../../src/sim/virtual-clock.js';
import { millis } from '../../../src/units.js';
import { parseDomainStats, parseDomainXml, type DomainShape, type DomainStats } from '../../../src/virsh/index.js';

const UUID = '696ad774-9f42-4362-aca9-8e9560a8c742';
const NOW = millis(5_000);
const BALLOON = "<memballoon model='virtio' autodeflate='on'/>";
const NO_BALLOON = "<memballoon model='none'/>";
const PLUG = `<memory model='virtio-mem'><alias name='ua-one'/><target><size unit='KiB'>65536</size>
  <block unit='KiB'>2048</block></target></memory>`;

const shapeOf = (devices: string, { id = 7, name = 'x' } = {}): DomainShape =>
  parseDomainXml([
    `<domain id='${id}'><name>${name}</name><uuid>${UUID}</uuid>`,
    `<devices>${devices}</devices></domain>`,
  ]);

function domainOf(devices: string): Domain {
  const [id, clock] = ['libvirt/x', new VirtualClock()];
  const polling = new StatsPolling({ uuid: UUID, id, clock, tell: () => undefined, isLeftAlone: true });
  return new Domain({
    uuid: UUID,
    id,
    shape: shapeOf(devices),
    polling,
    inside: new Inside(clock, []),
    now: millis(0),
  });
}

function statsOf(...lines: readonly string[]): DomainStats {
  const stats = parseDomainStats(["Domain: 'x'", ...lines.map((line) => `  balloon.${line}`)]).get('x');
  assert.ok(stats !== undefined);
  return stats;
}

describe('a domain that is described anew', () => {
  it('is told of where something else can be done with it', () => {
    const domain = domainOf(BALLOON);
    const grows = domain.noteShape(shapeOf(PLUG + BALLOON), NOW);
    assert.equal(grows?.capabilities.growthBlock, 512);
    assert.equal(domain.told, grows);
    assert.equal(domain.noteShape(shapeOf(NO_BALLOON), NOW)?.capabilities.canSetTarget, false);
  });

  it('is not told of where it is what it was', () => {
    const domain = domainOf(PLUG + BALLOON);
    const { told } = domain;
    const shape = shapeOf(PLUG + BALLOON);
    assert.equal(domain.noteShape(shape, NOW), null);
    assert.deepEqual([domain.told, domain.shape, domain.describedAt], [told, shape, NOW]);
  });

  it('is the same run where its number and its name are', () => {
    const domain = domainOf(BALLOON);
    assert.ok(domain.isRunOf(shapeOf(NO_BALLOON)));
    assert.ok(!domain.isRunOf(shapeOf(BALLOON, { id: 8 })));
    assert.ok(!domain.isRunOf(shapeOf(BALLOON, { name: 'y' })));
  });

  it('is not described well while something was asked to be plugged in since', () => {
    const domain = domainOf(PLUG + BALLOON);
    assert.ok(!domain.isGrowthNews);
    domain.noteGrowthAsked();
    const { growthsAsked } = domain;
    domain.noteGrowthAsked();
    domain.noteGrowthsDescribed(growthsAsked);
    assert.ok(domain.isGrowthNews);
    domain.noteGrowthsDescribed(domain.growthsAsked);
    assert.ok(!domain.isGrowthNews);
  });
});

describe('whether the QEMU of a domain answers', () => {
  it('is by whether libvirt has statistics of its guest', () => {
    const domain = domainOf(BALLOON);
    assert.ok(domain.isAnswering);
    domain.noteAnswer(statsOf('current=4096'));
    assert.ok(!domain.isAnswering);
    domain.noteAnswer(statsOf('current=4096', 'last-update=0'));
    assert.ok(domain.isAnswering);
  });

  it('is as libvirt tells of it at all, where it has no balloon', () => {
    const domain = domainOf(NO_BALLOON);
    domain.noteAnswer(statsOf('current=4096'));
    assert.ok(domain.isAnswering);
    domain.noteAnswer(null);
    assert.ok(!domain.isAnswering);
  });

  it('decides whether its polling has turns', () => {
    const domain = domainOf(BALLOON);
    const stats = statsOf('current=4096', 'last-update=0');
    domain.noteStats(stats, [], NOW);
    assert.ok(domain.polling.isNeeded);
    domain.noteAnswer(null);
    assert.ok(!domain.polling.isNeeded);
    domain.noteStats(statsOf('current=4096'), [], NOW);
    assert.ok(!domain.polling.isNeeded);
  });
});
