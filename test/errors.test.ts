/** Protects whoever reads messages: what others say is quoted in them, and cannot move a terminal or look like words of ours. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { quoted } from '../src/errors.js';
import { refused as refusedByAgent } from '../src/guest-agent/errors.js';
import { parseKib as parseBalloonFile } from '../src/hypervisors/xen-guest/codec.js';
import { parseKib as parseNode } from '../src/hypervisors/xen-host/codec.js';
import { refused as refusedByQemu } from '../src/qmp/errors.js';
import { malformed, quote } from '../src/signals/text.js';
import { ended, hung, refused as refusedByLibvirt } from '../src/virsh/errors.js';
import { gaveUp, refused as refusedByXenstored } from '../src/xenstore/errors.js';
import { useSeed } from './support/seed.js';

useSeed();

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** ESC and CSI begin commands of terminals; the last three turn the order of letters around and end lines. */
const HARMFUL = 'x\u001b[2J\u009b2J\u007f\r\n\0\u202e\u2028\u{e0041}';

describe('foreign text in a message', () => {
  it('is in quotes and has nothing in it that cannot be seen', () => {
    assert.equal(quoted(HARMFUL), '"x\\u001b[2J\\u009b2J\\u007f\\r\\n\\u0000\\u202e\\u2028\\udb40\\udc41"');
  });

  it('that is harmless stays as it is', () => {
    assert.equal(quoted('Gerät "2" ✓'), '"Gerät \\"2\\" ✓"');
  });

  it('is the same text when it is read back, and never more than was asked for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (text, max) => {
        const shown = quoted(text, max);
        assert.doesNotMatch(shown, UNSEEN);
        assert.equal(JSON.parse(shown.replace(/…$/, '')), text.slice(0, max));
        assert.equal(shown.endsWith('"…'), text.length > max);
      }),
    );
  });

  it('is cut where it is long', () => {
    assert.equal(quoted('x'.repeat(10_000)), `"${'x'.repeat(200)}"…`);
    assert.equal(quoted('x'.repeat(10_000), 3), '"xxx"…');
  });
});

describe('the words of a peer', () => {
  const details = [parseNode, parseBalloonFile].map((parse) => parse('its size', HARMFUL));
  const asked = { operation: 'READ', subject: HARMFUL };
  const messages: Readonly<Record<string, string>> = {
    'a QEMU’s class': refusedByQemu({ command: 'balloon', at: '/q' }, HARMFUL, '').message,
    'a QEMU’s description': refusedByQemu({ command: 'balloon', at: '/q' }, 'GenericError', HARMFUL).message,
    'a guest agent’s description': refusedByAgent('guest-info', 'GenericError', HARMFUL).message,
    'libvirt’s': refusedByLibvirt('dominfo', HARMFUL).message,
    'virsh’s last': ended(HARMFUL).message,
    'a domain’s name, asked of virsh': hung(HARMFUL, 5_000).message,
    'xenstored’s': refusedByXenstored({ operation: 'READ', subject: '/a' }, HARMFUL).message,
    'a node’s path, asked of xenstored': gaveUp(asked, true, null).message,
    'a guest’s node': details[0]?.known === false ? details[0].detail : '',
    'a file of the kernel’s': details[1]?.known === false ? details[1].detail : '',
    'a line of /proc': malformed('/proc/meminfo', quote(HARMFUL)).detail,
  };
  for (const [whose, message] of Object.entries(messages)) {
    it(`do not get through to the terminal as they are: ${whose}`, () => {
      assert.doesNotMatch(message, UNSEEN);
      assert.match(message, /x\\u001b\[2J\\u009b2J/);
    });
  }
});
