/** Protects the reading of answers: what is not as it should be is unknown, and never a number, least of all 0. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as answers from '../../src/qmp/answers.js';
import { decodeGuestStats } from '../../src/qmp/guest-stats.js';
import { bytes } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

/** As it comes over the wire. */
const said = (text: string): unknown => JSON.parse(text) as unknown;

/** Texts of JSON that are no number of bytes, seconds or faults. */
const NO_COUNTS = [
  '18446744073709551615',
  '-1',
  '1.5',
  '9007199254740992',
  '1e300',
  '"5"',
  'null',
  'true',
  '[5]',
  '{}',
];

const DECODERS: Readonly<Record<string, (answer: unknown) => unknown>> = {
  'query-version': answers.decodeVersion,
  'query-name': answers.decodeName,
  'query-uuid': answers.decodeUuid,
  'query-status': answers.decodeStatus,
  'query-balloon': answers.decodeBalloon,
  'qom-list': answers.decodeQomList,
  'guest-stats': decodeGuestStats,
  'guest-stats-polling-interval': answers.decodePollingInterval,
  'deflate-on-oom': answers.decodeDeflateOnOom,
  'query-memory-size-summary': answers.decodeMemorySizeSummary,
  'query-memory-devices': answers.decodeVirtioMemDevices,
};

describe('an answer', () => {
  for (const [command, decode] of Object.entries(DECODERS)) {
    it(`to ${command} is read without throwing, whatever it is`, () => {
      fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => void decode(value)));
    });
  }

  it('that is malformed is unknown', () => {
    for (const [command, decode] of Object.entries(DECODERS)) {
      for (const text of ['null', '-1', '"text"', '{}', '[null]', '[[]]', '[{}]']) {
        // A device without a kind and a list without elements are told apart.
        assert.equal(decode(said(text)), null, `${command} ${text}`);
      }
    }
  });
});

describe('query-version', () => {
  it('gives three numbers and the name of the package', () => {
    const answer = said('{"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}');
    assert.deepEqual(answers.decodeVersion(answer), { major: 7, minor: 2, micro: 22, package: 'Debian 1:7.2' });
    const plain = said('{"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}');
    assert.deepEqual(answers.decodeVersion(plain), { major: 10, minor: 0, micro: 0, package: '' });
  });
});

describe('the name and the UUID', () => {
  it('are those that the machine was given, and null where it was given none', () => {
    assert.equal(answers.decodeName(said('{"name": "vm 1"}')), 'vm 1');
    assert.equal(answers.decodeName(said('{"name": ""}')), null);
    assert.equal(answers.decodeName({ name: 'x'.repeat(5_000) }), null);
    const uuid = '550E8400-e29b-41d4-a716-446655440000';
    assert.equal(answers.decodeUuid({ UUID: uuid }), uuid.toLowerCase());
    assert.equal(answers.decodeUuid(said('{"UUID": "00000000-0000-0000-0000-000000000000"}')), null);
    assert.equal(answers.decodeUuid({ UUID: `${uuid}\n` }), null);
  });
});

describe('query-status', () => {
  it('tells whether the processors run, and knows no list of words', () => {
    const status = said('{"status": "prelaunch", "singlestep": false, "running": false}');
    assert.deepEqual(answers.decodeStatus(status), { isRunning: false, status: 'prelaunch' });
    assert.deepEqual(answers.decodeStatus({ status: 'new', running: true }), { isRunning: true, status: 'new' });
    assert.equal(answers.decodeStatus({ status: 'running' }), null);
  });
});

describe('the balloon', () => {
  it('says in bytes what the guest keeps, and is asked in bytes', () => {
    assert.equal(answers.decodeBalloon(said('{"actual": 1073741824}')), 1_073_741_824);
    assert.deepEqual(answers.balloonArguments(bytes(536_870_912)), { value: 536_870_912 });
    for (const text of NO_COUNTS) assert.equal(answers.decodeBalloon(said(`{"actual": ${text}}`)), null, text);
  });

  it('has properties', () => {
    assert.equal(answers.decodePollingInterval(said('0')), 0);
    assert.equal(answers.decodePollingInterval(said('10')), 10);
    for (const text of NO_COUNTS) assert.equal(answers.decodePollingInterval(said(text)), null, text);
    assert.equal(answers.decodeDeflateOnOom(said('false')), false);
    assert.equal(answers.decodeDeflateOnOom(said('true')), true);
    assert.equal(answers.decodeDeflateOnOom(said('0')), null);
  });
});

describe('qom-list', () => {
  it('gives names and types, and is unknown as a whole when one is malformed', () => {
    const list = [
      { name: 'type', type: 'string' },
      { name: 'balloon0', type: 'child<virtio-balloon-pci>', description: 'more' },
    ];
    assert.deepEqual(answers.decodeQomList(list), [
      { name: 'type', type: 'string' },
      { name: 'balloon0', type: 'child<virtio-balloon-pci>' },
    ]);
    assert.deepEqual(answers.decodeQomList([]), []);
    assert.equal(answers.decodeQomList([...list, { name: 'x' }]), null);
  });
});

describe('query-memory-size-summary', () => {
  it('gives both sizes, and tells a QEMU that cannot plug memory from one that talks nonsense', () => {
    const decode = answers.decodeMemorySizeSummary;
    assert.deepEqual(decode(said('{"base-memory": 4096, "plugged-memory": 0}')), { base: 4096, plugged: 0 });
    assert.deepEqual(decode(said('{"base-memory": 4096}')), { base: 4096, plugged: null });
    for (const text of NO_COUNTS) {
      assert.equal(decode(said(`{"base-memory": ${text}}`)), null, text);
      assert.equal(decode(said(`{"base-memory": 1, "plugged-memory": ${text}}`)), null, text);
    }
  });
});

describe('query-memory-devices', () => {
  const data = {
    memaddr: 4_294_967_296,
    'requested-size': 536_870_912,
    size: 268_435_456,
    'max-size': 1_073_741_824,
    'block-size': 2_097_152,
    node: 0,
    memdev: '/objects/mem0',
  };
  const device = { type: 'virtio-mem', data: { id: 'vmem0', ...data } };
  const dimm = { type: 'dimm', data: { size: 'whatever' } };

  it('gives the devices of virtio-mem and leaves others out', () => {
    assert.deepEqual(answers.decodeVirtioMemDevices([]), []);
    assert.deepEqual(answers.decodeVirtioMemDevices([dimm, device, { type: 'virtio-mem', data }]), [
      {
        id: 'vmem0',
        address: 4_294_967_296,
        requestedSize: 536_870_912,
        size: 268_435_456,
        maxSize: 1_073_741_824,
        blockSize: 2_097_152,
        node: 0,
        memdev: '/objects/mem0',
      },
      {
        id: null,
        address: 4_294_967_296,
        requestedSize: 536_870_912,
        size: 268_435_456,
        maxSize: 1_073_741_824,
        blockSize: 2_097_152,
        node: 0,
        memdev: '/objects/mem0',
      },
    ]);
  });

  it('gives what is in DIMMs, as the balloon counts them: not NVDIMMs, and nothing that is no size', () => {
    const sized = (type: string, size: unknown): object => ({ type, data: { size } });
    const all = [sized('dimm', 1_024), device, sized('nvdimm', 4_096), sized('dimm', 2_048), dimm, sized('dimm', -1)];
    assert.equal(answers.decodeDimmSize(all), 3_072);
    for (const wrong of [null, 'x', {}, [null, 7, { type: 'dimm' }]]) assert.equal(answers.decodeDimmSize(wrong), 0);
  });

  it('is unknown as a whole when one of them is not understood: a size that is missing must not count as none', () => {
    for (const name of Object.keys(data)) {
      for (const wrong of [undefined, -1, 2 ** 64, 1.5, '', null]) {
        const broken = { type: 'virtio-mem', data: { ...data, [name]: wrong } };
        assert.equal(answers.decodeVirtioMemDevices([device, broken]), null, `${name} ${String(wrong)}`);
      }
    }
    assert.equal(answers.decodeVirtioMemDevices([device, { data }]), null);
  });
});
