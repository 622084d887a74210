/** The connection to the host's end of an agent's port: a unix socket of the QEMU that the guest runs in. Nothing is sent over it. */
import type { Connection, ConnectionEnd } from '../connection/keeper.js';
import { connectToBelieved, type BelieverErrors, type PeerCheck } from '../connection/unix-socket.js';
import { errorText, SelfballoonError, systemErrorCode } from '../errors.js';

export interface AgentLink extends Connection {
  /** Begins to receive. Called once; until then nothing that comes is lost. */
  readonly receive: (onBytes: (chunk: Uint8Array) => void) => void;
  /** Receives nothing more until `resume`; what comes meanwhile waits, in the end in the guest. */
  readonly pause: () => void;
  readonly resume: () => void;
}

/**
 * Connects to the socket at `path`. Rejects with `SelfballoonError`: EUNAVAILABLE where none answers or `whyNot` refuses who does, EPERM
 * where this user may not, ETIMEDOUT when `signal` is aborted before there is a connection.
 */
export async function connectAgentLink(
  path: string,
  signal: AbortSignal,
  whyNot: PeerCheck = () => null,
): Promise<AgentLink> {
  const stream = await connectToBelieved(path, signal, ERRORS, whyNot);
  let tellEnd: (end: ConnectionEnd) => void = () => undefined;
  const closed = new Promise<ConnectionEnd>((resolve) => (tellEnd = resolve));
  return {
    closed,
    receive: (onBytes) => {
      const onLost = (error: Error): void => {
        tellEnd({ kind: 'lost', error });
      };
      stream.start({ onBytes, onLost });
    },
    pause: () => {
      stream.pause();
    },
    resume: () => {
      stream.resume();
    },
    close: async () => {
      await stream.close();
      tellEnd({ kind: 'closed' });
    },
  };
}

function notConnected(path: string, cause: unknown): SelfballoonError {
  const code = systemErrorCode(cause);
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  return new SelfballoonError({
    code: isForbidden ? 'EPERM' : 'EUNAVAILABLE',
    message: `connecting to the agent's port at ${path} failed: ${errorText(cause)}`,
    advice: isForbidden
      ? 'Only root, or the user that the virtual machine runs as, may connect'
      : 'Does the virtual machine run, and is the socket of that port its own (server=on,wait=off)?',
    cause,
  });
}

const notBelieved = (path: string, why: string): SelfballoonError =>
  new SelfballoonError({ code: 'EUNAVAILABLE', message: `the agent's port at ${path} is not believed: ${why}` });

const tooLate = (path: string, reason: unknown): SelfballoonError =>
  new SelfballoonError({
    code: 'ETIMEDOUT',
    message: `there was no connection to the agent's port at ${path} in time`,
    advice: 'See whether the process of the virtual machine is stopped, or somebody else is connected there',
    cause: reason,
  });

const lost = (path: string, cause: unknown): SelfballoonError =>
  new SelfballoonError({
    code: 'EUNAVAILABLE',
    message: `the agent's port at ${path} was closed on the side of the virtual machine${cause === null ? '' : `: ${errorText(cause)}`}`,
    advice: 'As a rule the virtual machine has ended, or was moved to another host',
    ...(cause === null ? {} : { cause }),
  });

const ERRORS: BelieverErrors<SelfballoonError> = { notConnected, notBelieved, tooLate, lost };
