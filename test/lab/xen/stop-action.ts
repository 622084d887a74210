/** What the unit for guests does when its daemon has ended. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../../support/paths.js';

/** The command of `ExecStopPost` in the unit for guests. */
export function stopAction(): string {
  const unit = readFileSync(join(REPOSITORY, 'packaging', 'systemd', 'selfballoon-guest.service'), 'utf8');
  const command = /^ExecStopPost=(.+)$/m.exec(unit)?.[1];
  assert.ok(command !== undefined, 'the unit has no stop action');
  return command;
}
