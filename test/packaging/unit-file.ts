/** systemd's unit files as the tests read them: settings by name, and the commands of this program that they run. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { REPOSITORY } from '../support/paths.js';

export const UNITS = join(REPOSITORY, 'packaging', 'systemd');

/** The names of all unit files. */
export const unitNames = (): readonly string[] => readdirSync(UNITS).sort();

export const unitText = (name: string): string => readFileSync(join(UNITS, name), 'utf8');

export class UnitFile {
  readonly #settings: readonly (readonly [string, string])[];

  constructor(text: string) {
    this.#settings = text.split('\n').flatMap((line) => {
      const [, name = '', value = ''] = /^([A-Z]\w*)=(.*)$/.exec(line) ?? [];
      return name === '' ? [] : [[name, value] as const];
    });
  }

  static read(name: string): UnitFile {
    return new UnitFile(unitText(name));
  }

  /** All values of a setting, in their order. */
  all(name: string): readonly string[] {
    return this.#settings.filter(([key]) => key === name).map(([, value]) => value);
  }

  /** The words of all values of a setting. */
  words(name: string): readonly string[] {
    return this.all(name).flatMap((value) => value.split(' '));
  }

  /** The last value, which is the one that counts; null where the setting is not made. */
  last(name: string): string | null {
    return this.all(name).at(-1) ?? null;
  }

  /** Every command line in it. */
  get commands(): readonly string[] {
    return this.#settings.filter(([key]) => key.startsWith('Exec')).map(([, value]) => value);
  }
}

const UNIT_BYTES: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30 };

/** A size with systemd's suffix, in bytes. NaN for what is none. */
export function sizeOf(text: string | null): number {
  const [, digits = '', unit = ''] = /^(\d+)([MG])$/.exec(text ?? '') ?? [];
  return digits === '' ? NaN : Number(digits) * (UNIT_BYTES[unit] ?? NaN);
}

/** A time in whole seconds or minutes, in seconds. NaN for what is none. */
export function secondsOf(text: string | null): number {
  const [, digits = '', unit = ''] = /^(\d+)(s|min)$/.exec(text ?? '') ?? [];
  return digits === '' ? NaN : Number(digits) * (unit === 'min' ? 60 : 1);
}

/** What is wrong with a command line of this program; null where the program has the command with all of these flags. */
export function faultIn(program: Command, line: string): string | null {
  const [, name = '', ...words] = line.split(' ');
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (command === undefined) return `there is no command ${name}`;
  for (let at = 0; at < words.length; at += 1) {
    const flag = words[at] ?? '';
    const option = command.options.find(({ long }) => long === flag);
    if (option === undefined) return `${name} has no flag ${flag}`;
    if (!option.required) continue;
    at += 1;
    const value = words[at] ?? '';
    if (option.argChoices?.includes(value) === false) return `${flag} does not take ${value}`;
  }
  return null;
}
