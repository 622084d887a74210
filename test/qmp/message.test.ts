/** Protects the reading of single lines: what is no message is never taken for one, whatever stands in it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { QmpError } from '../../src/qmp/errors.js';
import { COMMAND_BYTES_MAX, decodeMessage, DEPTH_MAX, encodeCommand, type Json } from '../../src/qmp/message.js';
import { useSeed } from '../support/seed.js';
import { qmpError } from './support/failures.js';

useSeed();

const decode = (text: string): unknown => decodeMessage(Buffer.from(text));
const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

describe('a message', () => {
  it('is told apart by its members, in whatever order they stand', () => {
    assert.deepEqual(decode('{"QMP": {"version": 1, "capabilities": []}}'), {
      kind: 'greeting',
      greeting: { version: 1, capabilities: [] },
    });
    assert.deepEqual(decode('{"id": 7, "return": {}}'), { kind: 'return', id: 7, value: {} });
    assert.deepEqual(decode('{"return": null, "id": "7"}'), { kind: 'return', id: '7', value: null });
    assert.deepEqual(decode('{"return": []}'), { kind: 'return', id: undefined, value: [] });
    assert.deepEqual(decode('{"error": {"class": "GenericError", "desc": "no"}, "id": 1}'), {
      kind: 'error',
      id: 1,
      errorClass: 'GenericError',
      description: 'no',
    });
    assert.deepEqual(decode('{"hello": 1}'), { kind: 'unknown' });
  });

  it('that is an error stays one, whatever is wrong with it', () => {
    for (const error of ['null', '"no"', '{}', '{"class": 1, "desc": []}']) {
      assert.deepEqual(decode(`{"id": 1, "error": ${error}}`), {
        kind: 'error',
        id: 1,
        errorClass: '',
        description: '',
      });
    }
  });

  it('that is an event has its time in ms, and an unknown one where the host could not tell', () => {
    const at = (timestamp: string): unknown => decode(`{"event": "STOP", "timestamp": ${timestamp}}`);
    const stop = { name: 'STOP', data: {} };
    assert.deepEqual(at('{"seconds": 12, "microseconds": 345678}'), {
      kind: 'event',
      event: { ...stop, at: 12_345.678 },
    });
    for (const timestamp of [
      '{"seconds": -1, "microseconds": -1}',
      '{}',
      'null',
      '{"seconds": 1e300, "microseconds": 0}',
    ]) {
      assert.deepEqual(at(timestamp), { kind: 'event', event: { ...stop, at: null } }, timestamp);
    }
    assert.deepEqual(decode('{"event": 7}'), { kind: 'unknown' });
    assert.deepEqual(decode('{"event": "X", "data": [1]}'), {
      kind: 'event',
      event: { name: 'X', data: {}, at: null },
    });
  });
});

describe('a line that is no message', () => {
  it('is a breach of the protocol, and shown cut and quoted', () => {
    const lines = ['(qemu) \u001b[2J', '{', 'nonsense', "{'QMP': 1}", '{"a": 1} {"b": 2}', `"${'x'.repeat(10_000)}`];
    for (const text of lines) {
      assert.throws(
        () => decode(text),
        (error) => qmpError('EPROTO', /not JSON: "/)(error) && (error as Error).message.length < 500,
      );
    }
    for (const text of ['null', '1', '"text"', '[]', '[{"return": {}}]', 'true']) {
      assert.throws(() => decode(text), qmpError('EPROTO', /not an object/));
    }
    assert.throws(() => decodeMessage(Buffer.from([0x7b, 0xff, 0x7d])), qmpError('EPROTO', /not UTF-8/));
  });

  it('includes one that is nested too deep, and brackets inside of texts do not count', () => {
    assert.deepEqual(decode(nested(DEPTH_MAX)), { kind: 'unknown' });
    assert.throws(() => decode(nested(DEPTH_MAX + 1)), qmpError('EPROTO', /more than 128 deep/));
    assert.throws(() => decode('['.repeat(1_000_000)), qmpError('EPROTO', /more than 128 deep/));
    const text = JSON.stringify({ return: `\\"${'[{'.repeat(1000)}\\` });
    assert.deepEqual(decode(text), { kind: 'return', id: undefined, value: `\\"${'[{'.repeat(1000)}\\` });
  });

  it('never throws anything else than that', () => {
    const anyLine = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(anyLine, (line) => {
        try {
          decodeMessage(line);
        } catch (error) {
          assert.ok(error instanceof QmpError && error.qmpCode === 'EPROTO');
        }
      }),
    );
  });

  it('is judged by the depth that a parser would find', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(2 * DEPTH_MAX), (value, around) => {
        const text = `{"return":${'['.repeat(around)}${JSON.stringify(value)}${']'.repeat(around)}}`;
        if (1 + around + depthOf(value) <= DEPTH_MAX) decode(text);
        else assert.throws(() => decode(text), qmpError('EPROTO', /deep/));
      }),
    );
  });
});

describe('a command', () => {
  it('is one line of JSON with its id, and without arguments where there are none', () => {
    assert.equal(encodeCommand('query-name', undefined, 1).toString(), '{"execute":"query-name","id":1}\n');
    assert.equal(
      encodeCommand('qom-get', { path: '/a\nb', property: 'ü' }, 2).toString(),
      '{"execute":"qom-get","id":2,"arguments":{"path":"/a\\nb","property":"ü"}}\n',
    );
  });

  it('has a name that can be one', () => {
    for (const name of ['', 'a b', 'a"', 'ü', 'x'.repeat(129), 'a\n']) {
      assert.throws(() => encodeCommand(name, undefined, 1), qmpError('EINVAL', /cannot be the name/));
    }
    assert.ok(encodeCommand('x-__org.example_do', undefined, 1).length > 0);
  });

  it('is not too long, and can be written', () => {
    assert.throws(() => encodeCommand('a', { b: 'x'.repeat(COMMAND_BYTES_MAX) }, 1), qmpError('EINVAL', /65536/));
    const round: Record<string, Json> = {};
    round['again'] = round;
    assert.throws(() => encodeCommand('a', round, 1), qmpError('EINVAL', /cannot be written as JSON/));
  });
});
