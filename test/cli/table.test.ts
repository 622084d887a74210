/** Protects what people see: one line a guest on any screen, and "?" for what is not known. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { summarise, type ShownGuest } from '../../src/cli/daemon/summary.js';
import { renderTable } from '../../src/cli/daemon/table.js';

const guest = (changes: Partial<ShownGuest> = {}): ShownGuest => ({
  id: `qmp/${changes.name ?? 'web'}`,
  name: 'web',
  isSimulated: false,
  isDriven: true,
  phase: 'shrinking',
  currentPages: 25_600,
  maximumPages: 51_200,
  goalPages: 12_800,
  targetPages: 24_000,
  why: 'needs 50 MiB (40 MiB committed + 5 MiB kernel reserve + 5 MiB room): gives up a part of the rest',
  ...changes,
});
const shown = (...guests: readonly ShownGuest[]): Parameters<typeof summarise>[0] => ({
  isDryRun: false,
  sources: ['a test'],
  hosts: [],
  guests,
});

describe('the table', () => {
  for (const width of [60, 80, 97, 100, 132, 300]) {
    it(`keeps every guest on one line of at most ${width < 78 ? 78 : width} columns, on a screen of ${width}`, () => {
      const text = renderTable(shown(guest(), guest({ name: 'db' })), { width, height: null, isTerminal: false });
      const lines = text.split('\n');
      assert.equal(lines.filter((line) => /^ (web|db) /.test(line)).length, 2);
      assert.ok(
        lines.every((line) => line.length <= Math.max(78, width)),
        text,
      );
      assert.ok(text.includes('shrinking'));
    });
  }

  it('shows what a host has free, where somebody can see it', () => {
    const hosts = [{ totalPages: 1_048_576, freePages: 256_000 }];
    const screen = { width: 120, height: null, isTerminal: false };
    assert.match(renderTable({ ...shown(guest()), hosts }, screen), /The host has 1000 of 4096 MiB free\./);
    const unseen = [{ totalPages: 1_048_576, freePages: null }];
    assert.match(renderTable({ ...shown(guest()), hosts: unseen }, screen), /The host has \? of 4096 MiB free\./);
  });

  describe('of guests with one name', () => {
    const socket = '_run_qemu_a-long-folder_of_somebody';
    const twins = [guest(), guest({ id: `qmp/web:${socket}_a_mon.qmp` }), guest({ id: `qmp/web:${socket}_b_mon.qmp` })];
    const firstCells = (width: number): readonly string[] => {
      const text = renderTable(shown(...twins, guest({ name: 'db' })), { width, height: null, isTerminal: false });
      const lines = text.split('\n');
      assert.ok(
        lines.every((line) => line.length <= Math.max(78, width)),
        text,
      );
      return lines.flatMap((line) => /^ (\S+) +100 /.exec(line)?.[1] ?? []);
    };

    for (const width of [60, 80, 100, 120, 160]) {
      it(`tells them apart on a screen of ${width}`, () => {
        const cells = firstCells(width);
        assert.equal(new Set(cells).size, 4, cells.join());
        assert.equal(cells[0], 'qmp/web');
        assert.equal(cells[3], 'db');
      });
    }

    it('shows their whole ids where there is room', () => {
      assert.deepEqual(
        firstCells(200).slice(0, 3),
        twins.map(({ id }) => id),
      );
    });
  });

  it('says how many guests do not fit', () => {
    const many = Array.from({ length: 30 }, (_, n) => guest({ name: `guest-${n}` }));
    const text = renderTable(shown(...many), { width: 120, height: 20, isTerminal: false });
    assert.ok(text.split('\n').length <= 20);
    assert.match(text, /16 more do not fit on this screen/);
  });

  it('sends escape codes to terminals only', () => {
    assert.equal(
      renderTable(shown(guest()), { width: 120, height: null, isTerminal: false }).includes('\u001b'),
      false,
    );
    assert.equal(renderTable(shown(guest()), { width: 120, height: null, isTerminal: true }).includes('\u001b'), true);
  });
});

describe('the summary', () => {
  it('never shows 0 for what is not known', () => {
    assert.equal(summarise(shown(guest({ maximumPages: null }))), '1 guest holds 100 of ? MiB: 1 shrinking');
    assert.match(summarise(shown(guest(), guest({ currentPages: null }))), /^2 guests hold \? of 400 MiB/);
  });

  it('calls observed guests of one name by their ids', () => {
    const one = guest({ name: 'host', isDriven: false, phase: 'observed' });
    const text = summarise(shown(guest({ name: 'db' }), one, { ...one, id: 'qmp/host:_run_b' }));
    assert.match(text, /; qmp\/host \(observed only\) .*; qmp\/host:_run_b \(observed only\) /);
  });

  it('tells observed guests from driven ones', () => {
    const watched = guest({ name: 'host', isDriven: false, phase: 'observed' });
    assert.match(summarise(shown(guest(), watched)), /; host \(observed only\) has 100 MiB, would be set to 94 MiB$/);
  });
});
