/** What tests of the adapter share: two domains, errors as they must be, and promises that are settled by hand. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { HypervisorError, type ErrorCode } from '../../../../src/errors.js';
import { Rig, type RigOptions } from './rig.js';

export const ONE = 'xen-host/one:1';
export const TWO = 'xen-host/two:2';
export const DOM0 = 'xen-host/Domain-0:0';
export const TARGET = '/local/domain/1/memory/target';

export const openTwo = (test: TestContext, options?: RigOptions): Promise<Rig> =>
  Rig.open(
    test,
    (xen) => {
      xen.create(1, { name: 'one' });
      xen.create(2, { name: 'two' });
    },
    options,
  );

/** For `assert.rejects`: a `HypervisorError` of this code, with a message that fits. */
export const failsWith =
  (code: ErrorCode, text = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof HypervisorError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };

/** A promise that is settled by hand. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    opened,
    open: () => {
      open();
    },
  };
}
