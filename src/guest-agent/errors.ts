/**
 * What can go wrong between us and the agent in a guest, in words and with what to do. `agentCode` says what kind of failure it is;
 * `code` is the program's own word for it.
 */
import { errorText, quoted, SelfballoonError, type ErrorCode } from '../errors.js';

/**
 * - `EREFUSED`: the agent answered with an error; `class` says which
 * - `EUNAVAILABLE`: no connection, or it was lost or closed while an answer was awaited
 * - `EACCES`: this user may not connect
 * - `ETIMEDOUT`: no answer within the time limit, or the caller gave up
 * - `EPROTO`: what came is no answer
 * - `EBUSY`: another command is under way; it was not sent
 */
export type AgentCode = 'EREFUSED' | 'EUNAVAILABLE' | 'EACCES' | 'ETIMEDOUT' | 'EPROTO' | 'EBUSY';

const CODES: Readonly<Record<AgentCode, ErrorCode>> = {
  EREFUSED: 'EIO',
  EUNAVAILABLE: 'EUNAVAILABLE',
  EACCES: 'EPERM',
  ETIMEDOUT: 'ETIMEDOUT',
  EPROTO: 'EIO',
  EBUSY: 'EIO',
};

export interface AgentErrorDetails {
  readonly agentCode: AgentCode;
  /** The agent's own word, where it was the agent that refused. Default null. */
  readonly class?: string | null;
  readonly message: string;
  readonly advice?: string;
  readonly cause?: unknown;
}

/** The agent refused, failed, did not answer or was not understood. Match `agentCode` and `class`. */
export class AgentError extends SelfballoonError {
  override readonly name = 'AgentError';
  readonly agentCode: AgentCode;
  /** As `GenericError`, `CommandNotFound`; null where it was not the agent that refused. */
  readonly class: string | null;

  constructor(details: AgentErrorDetails) {
    super({ ...details, code: CODES[details.agentCode] });
    this.agentCode = details.agentCode;
    this.class = details.class ?? null;
  }
}

const RUNS = 'Is qemu-guest-agent installed in the guest, and does it run?';

/** The agent answered with an error. Both words are as they came. */
export const refused = (command: string, errorClass: string, description: string): AgentError =>
  new AgentError({
    agentCode: 'EREFUSED',
    class: errorClass,
    message: `the guest agent refused ${command}: ${quoted(description)}`,
  });

/** It did not answer a command in time, or whoever asked gave up. */
export const noAnswer = (command: string, at: string, cause: unknown): AgentError =>
  new AgentError({
    agentCode: 'ETIMEDOUT',
    message: `the guest agent at ${at} has not answered ${command} in time`,
    advice: RUNS,
    cause,
  });

/** What came in answer is none. */
export const notAnAnswer = (command: string, at: string, seen: string): AgentError =>
  new AgentError({
    agentCode: 'EPROTO',
    message: `the guest agent at ${at} answered ${command} with what is no answer: ${seen}`,
    advice: 'Does something else than a guest agent have the port in the guest?',
  });

/** Somebody sends without end, asked or not. */
export const tooMuch = (at: string, bytes: number): AgentError =>
  new AgentError({
    agentCode: 'EPROTO',
    message: `more than ${bytes} bytes came from the guest agent at ${at} for one command`,
    advice: 'Does something else than a guest agent have the port in the guest?',
  });

/** One command at a time is asked. */
export const busy = (command: string, at: string): AgentError =>
  new AgentError({
    agentCode: 'EBUSY',
    message: `${command} was not sent to the guest agent at ${at}: it has another one to answer`,
  });

/** What it is to be done with was open in an agent that is not there any more. It was not sent, or nobody waits for its answer. */
export const beganAnew = (command: string): AgentError =>
  new AgentError({
    agentCode: 'EUNAVAILABLE',
    message: `${command} was given up: the guest or its agent has begun anew, and its handles are others' now`,
  });

/** There is no connection. `why`: as a sentence without a full stop. */
export const notConnected = (at: string, why: string): AgentError =>
  new AgentError({ agentCode: 'EUNAVAILABLE', message: `there is no connection to the guest agent at ${at}: ${why}` });

/** Somebody else serves the socket. `why`: as a sentence without a full stop. */
export const notBelieved = (at: string, why: string): AgentError =>
  new AgentError({ agentCode: 'EUNAVAILABLE', message: `the guest agent at ${at} is not believed: ${why}` });

/** Connecting failed, or the connection ended. */
export const connectionLost = (at: string, cause: unknown): AgentError =>
  new AgentError({
    agentCode: 'EUNAVAILABLE',
    message: `the connection to the guest agent at ${at} has ended: ${errorText(cause)}`,
    cause,
  });

/** This user may not connect, or nobody listens, or too many wait. */
export const cannotConnect = (at: string, agentCode: AgentCode, cause: unknown): AgentError =>
  new AgentError({
    agentCode,
    message: `connecting to the guest agent at ${at} failed: ${errorText(cause)}`,
    advice:
      agentCode === 'EACCES'
        ? 'Only root, or the user that runs the virtual machine, may connect'
        : 'Its socket serves one program at a time: nobody else may hold it',
    cause,
  });
