/** Messages and errors for tests of the protocol. */
import fc from 'fast-check';
import type { Frame } from '../../../src/xenstore/codec.js';
import { XenstoreError, type XenstoreCode } from '../../../src/xenstore/errors.js';
import { operationOf, type Operation } from '../../../src/xenstore/operations.js';

const OPERATIONS = Array.from({ length: 64 }, (_, number) => operationOf(number)).filter(
  (name): name is Operation => name !== null,
);

const anyId = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Small payloads mostly, and some of the largest. */
const anyPayload = fc
  .oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 4090, maxLength: 4096, size: 'max' }) },
  )
  .map((bytes) => Buffer.from(bytes));

export const anyFrame: fc.Arbitrary<Frame> = fc.record(
  {
    operation: fc.constantFrom(...OPERATIONS),
    requestId: anyId,
    transactionId: anyId,
    payload: anyPayload,
  },
  { noNullPrototype: true },
);

/** For `assert.throws` and `assert.rejects`: a `XenstoreError` with this code, and a message that fits. */
export const xenstoreError =
  (code: XenstoreCode, message = /./) =>
  (error: unknown): boolean => {
    if (!(error instanceof XenstoreError)) throw error;
    if (error.xenstoreCode !== code)
      throw new Error(`${error.xenstoreCode} where ${code} was expected`, { cause: error });
    if (!message.test(error.message)) throw new Error(`${error.message} does not fit ${message.source}`);
    return true;
  };
