/** Protects the specifications: every recorded line, and that the command would notice one that is wrong. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { runConformance } from '../../src/cli/commands/conformance.js';
import { SCENARIOS_MAX } from '../../src/cli/conformance/scenarios.js';
import { fixture } from '../support/paths.js';

const VECTORS = fixture('vectors');
const folder = mkdtempSync(join(tmpdir(), 'selfballoon-conformance-'));
after(() => {
  rmSync(folder, { recursive: true });
});

async function run(
  ...files: readonly string[]
): Promise<{ readonly isGood: boolean; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const isGood = await runConformance(files, (line) => lines.push(line));
  return { isGood, lines };
}

function textOf(name: string): string {
  const raw = readFileSync(join(VECTORS, name));
  return (name.endsWith('.gz') ? gunzipSync(raw) : raw).toString();
}

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const STEPS = 'selfballoon-steps.frontswap.jsonl.gz';
const ATTRIBUTES = 'selfballoon-attributes.frontswap.jsonl';

describe('the recorded vectors', () => {
  it('agree, all 3,191 lines', async () => {
    const { isGood, lines } = await run(...readdirSync(VECTORS).map((name) => join(VECTORS, name)));
    assert.equal(lines.at(-1), '3191 passed, 0 failed');
    assert.equal(isGood, true);
  });
});

describe('the command', () => {
  it('tells the kind by content, plain or gzipped, whatever the name', async () => {
    const plain = write('nothing.txt', textOf(STEPS));
    const zipped = write('also-nothing', gzipSync(textOf(ATTRIBUTES)));
    const { lines } = await run(plain, zipped);
    assert.deepEqual(lines, [`${plain}: 789 of 789 agree`, `${zipped}: 192 of 192 agree`, '981 passed, 0 failed']);
  });

  it('shows the first difference in full and fails', async () => {
    const wrong = textOf(STEPS).replace(/"balloonTargetPages":(\d+)/, '"balloonTargetPages":1');
    const { isGood, lines } = await run(write('wrong.jsonl', wrong));
    assert.equal(isGood, false);
    assert.match(lines[0] ?? '', /788 of 789 agree/);
    assert.match(lines[1] ?? '', /first difference, line \d+, in: balloonTargetPages/);
    assert.match(lines.join('\n'), /expected: .*"balloonTargetPages":1[,}]/);
    assert.equal(lines.at(-1), '788 passed, 1 failed');
  });

  it('counts a line that is torn or of another kind as one that does not agree', async () => {
    const lines = textOf(ATTRIBUTES).trimEnd().split('\n');
    const mixed = write(
      'mixed.jsonl',
      [...lines.slice(0, 3), '{"attribute":"selfballooning"}', ...lines.slice(3)].join('\n'),
    );
    const { lines: said } = await run(mixed);
    assert.equal(said.at(-1), '192 passed, 1 failed');
  });

  for (const [name, content] of [
    ['empty', ''],
    ['not-json', 'hello\n'],
    ['unknown-kind', '{"a":1}\n'],
    ['broken-gzip', Buffer.from([0x1f, 0x8b, 1, 2, 3])],
  ] as const) {
    it(`says what is wrong with a file that is ${name}, and goes on with the next`, async () => {
      const bad = write(name, content);
      const { isGood, lines } = await run(bad, join(VECTORS, ATTRIBUTES));
      assert.match(lines[0] ?? '', /cannot be replayed: .*Give a vector file/);
      assert.equal(lines.at(-1), '192 passed, 1 failed');
      assert.equal(isGood, false);
    });
  }

  it('says so when a file is not there', async () => {
    assert.match((await run(join(folder, 'missing'))).lines[0] ?? '', /missing cannot be replayed: ENOENT/);
  });
});

describe('lines out of order', () => {
  const linesOf = (name: string): string[] => textOf(name).trimEnd().split('\n');
  const DRIVER = 'balloon-driver.hotplug.jsonl.gz';

  for (const [what, name, count] of [
    ['controller steps', STEPS, 789],
    ['driver operations', DRIVER, linesOf(DRIVER).length],
  ] as const) {
    it(`are noticed when one of the ${what} is missing`, async () => {
      const left = linesOf(name).filter((line) => !/^\{"scenario":2,"(step|n)":1,/.test(line));
      assert.equal(left.length, count - 1);
      const { isGood, lines } = await run(write('gap.jsonl', left.join('\n')));
      assert.equal(isGood, false);
      assert.match(lines.join('\n'), /scenario 2 has line 2 where line 1 is due/);
    });

    it(`are noticed when one of the ${what} comes twice, which spoils no other`, async () => {
      const twice = linesOf(name).flatMap((line) =>
        /^\{"scenario":2,"(step|n)":1,/.test(line) ? [line, line] : [line],
      );
      const { lines } = await run(write('twice.jsonl', twice.join('\n')));
      assert.equal(lines.at(-1), `${count} passed, 1 failed`);
      assert.match(lines.join('\n'), /scenario 2 has line 1 where line 2 is due/);
    });

    it(`agree when the scenarios of the ${what} are mixed`, async () => {
      const byNumber = linesOf(name).map((line) => ({
        line,
        scenario: Number(/^\{"scenario":(\d+)/.exec(line)?.[1]),
        n: Number(/"(?:step|n)":(\d+)/.exec(line)?.[1]),
      }));
      // Blocks of scenarios, as many as are kept at once; within a block the first lines of all, then the second of all …
      const block = (scenario: number): number => Math.floor(scenario / SCENARIOS_MAX);
      byNumber.sort((a, b) => block(a.scenario) - block(b.scenario) || a.n - b.n || a.scenario - b.scenario);
      const { lines } = await run(write('mixed.jsonl', byNumber.map(({ line }) => line).join('\n')));
      assert.equal(lines.at(-1), `${count} passed, 0 failed`);
    });
  }

  it('are noticed when a scenario does not begin at its beginning', async () => {
    const [, second] = linesOf(STEPS);
    const { lines } = await run(write('late.jsonl', second ?? ''));
    assert.match(lines.join('\n'), /scenario 0 has not begun \(its line 0 is missing\)/);
    const init = (linesOf(DRIVER)[0] ?? '').replace('"n":0', '"n":3');
    assert.match((await run(write('late-init.jsonl', init))).lines.join('\n'), /line 3 of scenario 0 begins it/);
  });
});

describe('where ours differs on purpose', () => {
  const attribute = (write_: string, result: string, reads: string): string =>
    JSON.stringify({
      attribute: 'selfballoon_interval',
      mode: '0644',
      write: write_,
      capSysAdmin: true,
      result,
      reads,
      scheduledSeconds: -1,
    });

  it('expects EINVAL where the old driver cut a value to 32 bits, and our own value until the next good write', async () => {
    const lines = [
      attribute('7', 'ok', '7'),
      attribute('4294967296', 'ok', '0'),
      attribute('junk', 'EINVAL', '0'),
      attribute('4294967295', 'ok', '-1'),
      attribute('9', 'ok', '9'),
    ];
    assert.equal((await run(write('cut.jsonl', lines.join('\n')))).lines.at(-1), '5 passed, 0 failed');
  });

  it('takes no other refusal for a cut: a switch, and what has more than 64 bits, the old driver refused too', async () => {
    const lines = textOf(ATTRIBUTES).trimEnd().split('\n');
    for (const [number, name] of [
      [19, 'selfballooning'],
      [20, 'selfballooning'],
      [44, 'selfballoon_interval'],
      [140, 'frontswap_selfshrinking'],
    ] as const) {
      const line = lines[number - 1] ?? '';
      assert.ok(line.includes(`"attribute":"${name}"`) && line.includes('"result":"EINVAL"'));
      const wrong = lines.with(number - 1, line.replace('"EINVAL"', '"ok"'));
      const { lines: said } = await run(write('not-cut.jsonl', wrong.join('\n')));
      assert.equal(said.at(-1), '191 passed, 1 failed', `line ${number}`);
      assert.match(said.join('\n'), new RegExp(`first difference, line ${number}, in: result`));
    }
  });

  it('expects EINVAL for the largest value that the old driver could read, and not for the next', async () => {
    const largest = write('largest.jsonl', attribute('18446744073709551615', 'ok', '-1'));
    const next = write('next.jsonl', attribute('18446744073709551616', 'ok', '0'));
    assert.equal((await run(largest)).lines.at(-1), '1 passed, 0 failed');
    assert.equal((await run(next)).lines.at(-1), '0 passed, 1 failed');
  });

  it('expects no target where the old driver wrapped', async () => {
    const [first] = textOf(STEPS)
      .split('\n')
      .filter((line) => /"balloonTargetPages":\d/.test(line) && line.includes('"step":0'));
    const wrapped = (first ?? '').replace(/"maxPfn":\d+/, '"maxPfn":10');
    assert.equal((await run(write('wrapped.jsonl', wrapped))).lines.at(-1), '1 passed, 0 failed');
  });
});
