/** Which domains are active: `virsh list --uuid --name`. */
import { isUuid } from './command.js';

export interface ListedDomain {
  readonly uuid: string;
  /** As its administrator wrote it: any characters but a slash and an end of line. */
  readonly name: string;
}

/** Active are those that run and those that are paused. */
export const LIST_DOMAINS: readonly string[] = ['list', '--uuid', '--name'];

/** Lines of another form are left out. */
export function parseDomainList(lines: readonly string[]): readonly ListedDomain[] {
  return lines.flatMap((line) => {
    const [, uuid = '', name = ''] = /^(\S{36}) +(.*?) *$/.exec(line) ?? [];
    return isUuid(uuid) && name !== '' ? [{ uuid, name }] : [];
  });
}
