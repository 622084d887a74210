/** The way to an agent whose port is a unix socket on this host. */
import { connectToBelieved, type BelieverErrors, type PeerCheck } from '../connection/unix-socket.js';
import type { Clock } from '../control/ports.js';
import { systemErrorCode } from '../errors.js';
import { cannotConnect, connectionLost, notBelieved, type AgentError } from './errors.js';
import { AgentSession } from './session.js';

/**
 * Connects to the socket at `path` and waits until the agent answers. Rejects with `AgentError`: EUNAVAILABLE where nobody listens
 * or `whyNot` refuses who does, EACCES where this user may not, ETIMEDOUT where no agent answers, or another program holds the socket,
 * within 3 s or before `signal` is aborted. `signal` ends the beginning only. Nothing is sent to whom `whyNot` refuses.
 */
export async function connectAgent(
  path: string,
  clock: Clock,
  signal: AbortSignal,
  whyNot: PeerCheck = () => null,
): Promise<AgentSession> {
  const stream = await connectToBelieved(path, signal, ERRORS, whyNot);
  const session = new AgentSession(stream, clock);
  try {
    await session.begin(signal);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

const FORBIDDEN = ['EACCES', 'EPERM'];

const ERRORS: BelieverErrors<AgentError> = {
  notBelieved,
  notConnected: (path, cause) =>
    cannotConnect(path, FORBIDDEN.includes(systemErrorCode(cause) ?? '') ? 'EACCES' : 'EUNAVAILABLE', cause),
  tooLate: (path, reason) => cannotConnect(path, 'ETIMEDOUT', reason),
  lost: (path, cause) => connectionLost(path, cause ?? 'the other side ended it'),
};
