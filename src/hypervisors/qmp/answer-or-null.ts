/** What a QEMU answers, where it may refuse. */
import { QmpError } from '../../qmp/index.js';

/** What QEMU refuses it does not know, or does not have any more, and that is an answer: null. Everything else is trouble, and rejects. */
export const answerOrNull = (call: Promise<unknown>): Promise<unknown> => call.catch(nullWhereRefused);

function nullWhereRefused(error: unknown): null {
  if (error instanceof QmpError && error.qmpCode === 'EREFUSED') return null;
  throw error;
}
