/** A text may end at any byte: then each value is unknown or what the whole text says, never something else. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Field } from '../../src/control/signal.js';
import { parseCommandLine } from '../../src/signals/cmdline.js';
import { parseMeminfo } from '../../src/signals/meminfo.js';
import { parsePressure } from '../../src/signals/pressure.js';
import { parseSwaps } from '../../src/signals/swaps.js';
import { parseVmstat } from '../../src/signals/vmstat.js';
import { parseZoneinfo } from '../../src/signals/zoneinfo.js';
import { parseZramUsage } from '../../src/signals/zram.js';
import { fixture } from '../support/paths.js';
import { procText } from './proc-roots.js';

type Fields = Readonly<Record<string, Field<unknown>>>;
type Parse = (text: string) => Fields;

function checkEveryCut(text: string, parse: Parse, mayEndAt: (cut: number) => boolean = () => false): void {
  const whole = parse(text);
  for (let cut = 0; cut < text.length; cut += 1) {
    if (mayEndAt(cut)) continue;
    const fields = parse(text.slice(0, cut));
    for (const [name, field] of Object.entries(fields)) {
      if (field.known) assert.deepEqual(field, whole[name], `${name}, cut after ${cut} bytes`);
    }
  }
}

/** `MemTotal` of the same machine: without it, a cut exactly between two nodes cannot be seen. */
function parseZoneinfoOf(kernel: string): Parse {
  const total = existsSync(fixture('proc', kernel, 'meminfo')) ? parseMeminfo(procText(kernel, 'meminfo')).total : null;
  return (text) => ({ ...parseZoneinfo(text, total?.known === true ? total.value : null) });
}

const parsers = (kernel: string): readonly (readonly [string, Parse])[] => [
  ['meminfo', (text) => ({ ...parseMeminfo(text) })],
  ['vmstat', (text) => ({ ...parseVmstat(text) })],
  ['zoneinfo', parseZoneinfoOf(kernel)],
  ['pressure/memory', (text) => ({ pressure: parsePressure(text) })],
  ['mm_stat', (text) => ({ usage: parseZramUsage(text) })],
  ['cmdline', (text) => ({ line: parseCommandLine(text) })],
];

describe('a text cut at any byte', () => {
  for (const kernel of readdirSync(fixture('proc'))) {
    for (const [path, parse] of parsers(kernel)) {
      if (!existsSync(fixture('proc', kernel, path))) continue;
      it(`${kernel}: ${path}`, () => {
        checkEveryCut(procText(kernel, path), parse);
      });
    }
    if (!existsSync(fixture('proc', kernel, 'swaps'))) continue;
    it(`${kernel}: swaps, except between two lines, where it is a shorter list`, () => {
      const text = procText(kernel, 'swaps');
      checkEveryCut(
        text,
        (cut) => ({ areas: parseSwaps(cut) }),
        (cut) => cut > 0 && text[cut - 1] === '\n',
      );
    });
  }
});
