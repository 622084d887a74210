/** Protects what virsh's text is taken for: units, polarity, whose it is, and what is no number. The texts are libvirt 9.0's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseActual } from '../../src/virsh/domain-memory.js';
import {
  asciiJson,
  commandLine,
  parseDomainList,
  parseDomainStats,
  parseDomainXml,
  parseEvent,
  virtioMem,
  VirshError,
} from '../../src/virsh/index.js';
import { useSeed } from '../support/seed.js';

useSeed();

const UUID = '696ad774-9f42-4362-aca9-8e9560a8c742';
const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');

const STATS = `Domain: 'one'
  state.state=1
  state.reason=1
  balloon.current=400000
  balloon.maximum=524288
  balloon.swap_in=4
  balloon.swap_out=8
  balloon.major_fault=7
  balloon.minor_fault=761
  balloon.unused=436948
  balloon.available=468548
  balloon.usable=436492
  balloon.last-update=1795656437
  balloon.disk_caches=2444
  balloon.hugetlb_pgalloc=0
  balloon.hugetlb_pgfail=0
  balloon.rss=246832
`;

describe('what one domain keeps now', () => {
  it('is what its QEMU says of the balloon, and null where it does not', () => {
    assert.equal(parseActual(linesOf('actual 523264\nswap_in 0\nlast_update 1795656437\nrss 246832\n')), 523_264);
    for (const text of ['', 'rss 246832\n', 'actual -1\n', 'actual 99999999999999999999\n', 'xactual 5\n']) {
      assert.equal(parseActual(linesOf(text)), null, text);
    }
  });
});

describe('statistics of all domains', () => {
  it('are sizes in KiB, under the names that the balloon has for them and not libvirt', () => {
    assert.deepEqual(
      [...parseDomainStats(linesOf(STATS)).values()],
      [
        {
          ...{ name: 'one', state: 1, current: 400_000, maximum: 524_288, lastUpdate: 1_795_656_437 },
          ...{ total: 468_548, free: 436_948, available: 436_492, diskCaches: 2_444 },
          ...{ swapIn: 4, swapOut: 8, majorFaults: 7, resident: 246_832 },
        },
      ],
    );
  });

  it('are the guest’s word only once it has said one, and only where libvirt could ask', () => {
    const silent = parseDomainStats(linesOf(STATS.replace('last-update=1795656437', 'last-update=0'))).get('one');
    assert.deepEqual([silent?.lastUpdate, silent?.total, silent?.current], [0, null, 400_000]);
    const busy = parseDomainStats(linesOf(STATS.replace(/.*last-update.*\n/, ''))).get('one');
    assert.deepEqual([busy?.lastUpdate, busy?.total, busy?.current], [null, null, 400_000]);
  });

  it('belong to the domain above them, whatever it is called', () => {
    const names = ['it’s', "it's", "Domain: 'x'", '7', 'a=b', '  state.state=3'];
    const text = names.map((name, n) => `Domain: '${name}'\n  state.state=${n}\n\n`).join('');
    const states = [...parseDomainStats(linesOf(text))].map(([name, { state }]) => [name, state]);
    assert.deepEqual(
      states,
      names.map((name, n) => [name, n]),
    );
  });

  it('are unknown, one by one, where they are no numbers', () => {
    const number = fc.oneof(fc.string(), fc.double().map(String), fc.bigInt().map(String), fc.constant('-1'));
    const keys = ['current', 'maximum', 'available', 'unused', 'usable', 'swap_out', 'major_fault', 'last-update'];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...keys), number)), (fields) => {
        const lines = fields.flatMap(([key, value]) => `  balloon.${key}=${value}`.split('\n'));
        for (const stats of parseDomainStats(["Domain: 'x'", ...lines]).values()) {
          const { name, ...numbers } = stats;
          assert.equal(name, 'x');
          for (const value of Object.values(numbers))
            assert.ok(value === null || (Number.isSafeInteger(value) && Number(value) >= 0));
        }
      }),
    );
  });
});

describe('the list of domains', () => {
  it('has a name after each UUID, with all that may be in it', () => {
    const names = ['one', '7', 'a b', 'Domain: x', "it's", 'tab\tx'];
    assert.deepEqual(
      parseDomainList(names.map((name) => `${UUID} ${name}`)),
      names.map((name) => ({ uuid: UUID, name })),
    );
    assert.deepEqual(parseDomainList(['', 'error: x', `${UUID.slice(1)} x`, UUID]), []);
  });
});

describe('an event', () => {
  const line = (text: string): string => `2026-11-26 01:27:31.085+0000: event ${text}`;

  it('tells which domain comes, goes or gets other devices', () => {
    assert.deepEqual(parseEvent(line("'lifecycle' for domain 'one': Stopped Shutdown")), {
      kind: 'lifecycle',
      domain: 'one',
      detail: 'Stopped Shutdown',
    });
    assert.equal(parseEvent(line("'device-removed' for domain 'it's': balloon0"))?.domain, "it's");
    assert.equal(parseEvent("event 'lifecycle' for domain old: Started Booted")?.domain, 'old');
    assert.equal(parseEvent(line("'memory-device-size-change' for domain 'one':"))?.kind, 'devices');
    assert.equal(parseEvent(line("'balloon-change' for domain 'one': 400000KiB"))?.kind, 'moved');
    const restarted = { kind: 'restarted', domain: 'one', detail: '' };
    assert.deepEqual(parseEvent(line("'reboot' for domain 'one'")), restarted);
    assert.deepEqual(parseEvent("event 'reboot' for domain one"), restarted);
    const detail = "state: 'disconnected' reason: 'channel event'";
    const agent = { kind: 'agent', domain: 'one', detail };
    assert.deepEqual(parseEvent(line(`'agent-lifecycle' for domain 'one': ${detail}`)), agent);
    assert.deepEqual(parseEvent(`event 'agent-lifecycle' for domain one: ${detail}`), agent);
  });

  it('of any other kind is none, nor is any other line', () => {
    const others = ["'rtc-change' for domain 'one': 400000", "'constructor' for domain 'x': y", 'x', ''];
    for (const other of others) assert.equal(parseEvent(line(other)), null);
    assert.equal(parseEvent('event loop timed out'), null);
  });
});

const XML = `<domain type='qemu' id='3'>
  <name>a &amp; b</name>
  <uuid>${UUID}</uuid>
  <currentMemory unit='KiB'>786432</currentMemory>
  <description>&lt;memballoon model='none'/&gt;
error: nothing</description>
  <metadata><x:app xmlns:x='urn:x'><x:devices><memballoon model='none'/></x:devices></x:app></metadata>
  <devices>
    <memory model='virtio-mem'>
      <target><size unit='KiB'>1048576</size><node>0</node><block unit='KiB'>2048</block>
        <requested unit='KiB'>524288</requested><current unit='KiB'>262144</current></target>
      <alias name='virtiomem0'/>
    </memory>
    <memory model='dimm'><target><size unit='KiB'>131072</size></target></memory>
    <channel type='unix'><source mode='bind' path='/run/one/agent'/>
      <target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/></channel>
    <channel type='unix'><target type='virtio' name='no.path'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <memballoon model='virtio' autodeflate='on'><stats period='10'/></memballoon>
  </devices>
</domain>`;

describe('the description of a domain', () => {
  it('says what it has for its memory, and nothing else in it does', () => {
    const shape = parseDomainXml(linesOf(XML));
    assert.deepEqual([shape.id, shape.name, shape.uuid], [3, 'a & b', UUID]);
    assert.equal(shape.currentMemory, 786_432);
    assert.deepEqual(shape.balloon, { deflatesOnOom: true, statsPeriod: 10 });
    assert.deepEqual([...shape.channels], [['org.qemu.guest_agent.0', '/run/one/agent']]);
    assert.deepEqual(shape.memoryDevices[0], {
      ...{ model: 'virtio-mem', alias: 'virtiomem0', size: 1_048_576, block: 2_048 },
      ...{ requested: 524_288, current: 262_144 },
    });
    // What a balloon can take is without virtio-mem, and with a module of memory.
    assert.deepEqual(virtioMem(shape), { size: 1_048_576, current: 262_144 });
  });

  it('says so of a balloon that does not deflate by itself, and of none', () => {
    const plain = parseDomainXml(linesOf(XML.replace(" autodeflate='on'><stats period='10'/>", '>')));
    assert.deepEqual(plain.balloon, { deflatesOnOom: false, statsPeriod: 0 });
    for (const model of ['none', 'xen']) {
      assert.equal(parseDomainXml(linesOf(XML.replace("model='virtio' ", `model='${model}' `))).balloon, null);
    }
  });

  it('that is none is told of, and does no harm', () => {
    const deep = `${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`;
    for (const text of ['', 'x', '<domain>', '<domain/>', '<other><name>x</name></other>', deep]) {
      assert.throws(
        () => parseDomainXml(linesOf(text)),
        (error) => error instanceof VirshError && error.virshCode === 'EPROTO',
      );
    }
  });
});

describe('words for virsh', () => {
  it('stay the words that they are', () => {
    assert.equal(commandLine(['setmem', UUID, '716800', '--live']), `setmem ${UUID} 716800 --live`);
    assert.equal(commandLine(['echo', 'a b; quit', '"x" \\ $HOME']), `echo 'a b; quit' '"x" \\ $HOME'`);
    assert.equal(commandLine(['echo', '']), "echo ''");
  });

  it('that virsh would take for others are refused', () => {
    for (const word of ["it's", 'a\nquit', 'tab\t', '\x1b[A', 'ü']) {
      assert.throws(() => commandLine(['echo', word]), VirshError);
    }
    assert.throws(() => commandLine(['echo', 'x'.repeat(2 ** 20)]), VirshError);
  });

  it('can hold any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const [, text = ''] = /^echo '?([^']*)'?$/.exec(commandLine(['echo', asciiJson(value)])) ?? [];
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      }),
    );
    assert.equal(asciiJson("it's ü\u007f"), '"it\\u0027s \\u00fc\\u007f"');
  });
});
