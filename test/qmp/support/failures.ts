/** What calls reject with, for tests. */
import { QmpError, type QmpCode } from '../../../src/qmp/errors.js';

/** For `assert.throws` and `assert.rejects`: a `QmpError` with this code, and a message that fits. */
export const qmpError =
  (code: QmpCode, message = /./) =>
  (error: unknown): boolean => {
    if (!(error instanceof QmpError)) throw error;
    if (error.qmpCode !== code) throw new Error(`${error.qmpCode} where ${code} was expected`, { cause: error });
    if (!message.test(error.message)) throw new Error(`${error.message} does not fit ${message.source}`);
    return true;
  };

/** What a promise rejects with. */
export async function rejection(call: Promise<unknown>): Promise<QmpError> {
  const error: unknown = await call.then(
    () => new Error('it did not reject'),
    (why: unknown) => why,
  );
  if (!(error instanceof QmpError)) throw error;
  return error;
}
