/** One value that somebody gave to one key, with where it was given. Every source of configuration is a list of these. */
import { visible } from '../errors.js';

/** Where a value comes from. Lines and columns count from 1. */
export type Source =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'flag' };

export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
  /** The value as it was written, fit to be printed. */
  readonly shown: string;
  readonly source: Source;
}

const SHOWN_LENGTH_MAX = 60;

/** Something that was written, made fit to be printed: no invisible characters, and not too long. */
export function printable(text: string): string {
  const shown = text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '\u{fffd}');
  return shown.length > SHOWN_LENGTH_MAX ? `${shown.slice(0, SHOWN_LENGTH_MAX)}…` : shown;
}

/** Where a value comes from, in words: `default`, `/etc/selfballoon.toml:7:1`, an environment variable's name, `command line`. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${visible(source.file)}:${source.line}:${source.column}`;
    case 'env':
      return `environment variable ${source.name}`;
    case 'flag':
      return 'command line';
  }
}
