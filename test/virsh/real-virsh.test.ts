/**
 * The real virsh over libvirt's own make-believe hypervisor, `test:///default`, which lives inside of each virsh. Protects that what is
 * said and understood here is what virsh says and understands.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { RealClock } from '../../src/runtime/real-clock.js';
import { millis } from '../../src/units.js';
import {
  DOMAIN_STATS,
  LIST_DOMAINS,
  openVirsh,
  commandLine,
  parseDomainList,
  parseDomainStats,
  parseDomainXml,
  VirshError,
} from '../../src/virsh/index.js';
import { Session } from '../../src/virsh/session.js';
import { patience } from '../qmp/support/opened.js';

const URI = 'test:///default';
const isInstalled = spawnSync('virsh', ['--version']).error === undefined;
const skip = !isInstalled && 'virsh is not installed here (Debian: apt-get install libvirt-clients)';
const LIMIT = { limit: millis(60_000) };

describe('the real virsh', { skip }, () => {
  it('lists, describes and sets a domain, and answers where it refuses', async (test) => {
    const session = new Session({ uri: URI, isReadOnly: false, clock: new RealClock(), program: 'virsh' });
    test.after(() => {
      session.close();
    });
    const run = (words: readonly string[]): Promise<readonly string[]> => session.run(commandLine(words), LIMIT);
    const [domain] = parseDomainList(await run(LIST_DOMAINS));
    assert.equal(domain?.name, 'test');
    const shape = parseDomainXml(await run(['dumpxml', domain.uuid]));
    assert.deepEqual([shape.name, shape.uuid, shape.id], ['test', domain.uuid, 1]);
    assert.deepEqual(shape.balloon, { deflatesOnOom: false, statsPeriod: 0 });
    assert.equal(parseDomainStats(await run(DOMAIN_STATS)).get('test')?.state, 1);
    await run(['setmem', domain.uuid, '1000000', '--live']);
    assert.match((await run(['dominfo', domain.uuid])).join('\n'), /^Used memory: +1000000 KiB$/m);
    const refused = run(['setmem', domain.uuid, '99999999999', '--live']);
    await assert.rejects(refused, (error) => error instanceof VirshError && error.virshCode === 'EREFUSED');
    const gone = run(['setmem', domain.uuid.replace(/.$/, 'x'), '1', '--live']);
    await assert.rejects(gone, (error) => error instanceof VirshError && error.virshCode === 'EGONE');
  });

  it('takes words as they are meant, and a line of 100,000 characters', async (test) => {
    const session = new Session({ uri: URI, isReadOnly: true, clock: new RealClock() });
    test.after(() => {
      session.close();
    });
    for (const word of ['a b', '{"x":"\\u0027 \\\\ ; quit"}', '$HOME `id` #', 'x'.repeat(100_000)]) {
      assert.deepEqual(await session.run(commandLine(['echo', word]), LIMIT), [word]);
    }
  });

  it('does not end with what ends the daemon: memory is given back through it', async (test) => {
    const session = new Session({ uri: URI, isReadOnly: false, clock: new RealClock() });
    test.after(() => {
      session.close();
    });
    await session.run('uri', LIMIT);
    assert.ok(session.pid !== undefined);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(session.pid, signal);
    assert.deepEqual(await session.run('uri', LIMIT), [URI]);
    // A terminal's Ctrl-C goes to all of the terminal's process group.
    process.kill(-session.pid, 0);
  });

  it('is opened and closed as a connection, and tells of a driver that is not there', async () => {
    const quiet = { clock: new RealClock(), onEvent: () => undefined, onGap: () => undefined };
    const virsh = await openVirsh({ uri: URI, ...quiet }, patience());
    assert.equal(virsh.pids.length, 3);
    assert.equal(parseDomainList(await virsh.look(LIST_DOMAINS, patience())).length, 1);
    await virsh.close();
    const nowhere = openVirsh({ uri: 'qemu+unix:///system?socket=/nowhere/sock', ...quiet }, patience());
    await assert.rejects(
      nowhere,
      (error) => error instanceof VirshError && error.virshCode === 'EUNAVAILABLE' && /nowhere/.test(error.message),
    );
  });
});
