/**
 * The daemon's HTTP server on a unix socket. Everyone who can open the socket may look. To change something takes uid 0 or
 * the daemon's own, as the kernel says who is at the other end; where the kernel does not say, it takes a socket file that
 * only its owner could have opened.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorText, SelfballoonError, systemErrorCode } from '../errors.js';
import type { Commands } from '../runtime/commands.js';
import type { ReadModel } from '../runtime/read-model.js';
import { rawRefusal } from './answers.js';
import { Connections, type ConnectionLimits } from './connections.js';
import { peerOf, type Peer } from '../posix/peer.js';
import { createServer } from './node-http.js';
import { makeRoutes } from './routes.js';
import { isTrustedOwner, ownUid } from './safe-folder.js';
import { claimSocketPath } from './socket-path.js';

export interface ServerOptions {
  readonly socketPath: string;
  readonly readModel: ReadModel;
  readonly commands: Commands;
  /** The socket file's mode. Default 0666 for root (everyone may look), otherwise 0600. */
  readonly mode?: number;
  /** Told of what went wrong without ending anything. Default: nobody. */
  readonly warn?: (message: string) => void;
  /** Who is at the other end. Default: whom the kernel names. */
  readonly peerOf?: (socket: Socket) => Peer;
  /** Default: 8 connections for each other user, 48 for them together, 256 in all; 5 s for a request, 20 s for a connection. */
  readonly limits?: Partial<ServerLimits>;
}

export interface RunningServer {
  /** Stops answering, ends every connection and removes the socket. */
  close(): Promise<void>;
}

export interface ServerLimits extends ConnectionLimits {
  /** In all, so that a script of root's that runs wild does not use up the daemon's files. */
  readonly connections: number;
  /** How long a request may take to arrive. */
  readonly requestMs: number;
  /** How long a connection may live at all: also a client that reads its answer byte by byte must end. */
  readonly connectionMs: number;
}

const LIMITS: ServerLimits = {
  connectionsPerUser: 8,
  connectionsOfOthers: 48,
  connections: 256,
  requestMs: 5000,
  connectionMs: 20_000,
};
const HEADERS_BYTES_MAX = 8192;
/** How often per time limit Node.js looks for requests that are late. */
const CHECKS_PER_LIMIT = 5;
const OWNER_ONLY = 0o600;

/** Starts answering. Throws `SelfballoonError`: `EUNAVAILABLE` where another daemon answers, `EPERM` or `EIO` otherwise. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { socketPath, readModel, commands } = options;
  const warn = options.warn ?? ((): void => undefined);
  const mode = options.mode ?? (ownUid() === 0 ? 0o666 : OWNER_ONLY);
  const find = options.peerOf ?? peerOf;
  const isTrusted = (peer: Peer): boolean => isAllowed(peer, mode);
  const mayChange = ({ socket }: IncomingMessage): boolean => isTrusted(find(socket));
  const limits = { ...LIMITS, ...options.limits };
  const server = createServer(
    {
      maxHeaderSize: HEADERS_BYTES_MAX,
      headersTimeout: limits.requestMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: Math.ceil(limits.requestMs / CHECKS_PER_LIMIT),
    },
    makeRoutes({ readModel, commands, mayChange, warn }),
  );
  server.maxConnections = limits.connections;
  const connections = new Connections({ limits, peerOf: find, isTrusted, warn });
  server.on('connection', (socket) => {
    connections.admit(socket);
    limitLife(socket, limits.connectionMs);
  });
  server.on('clientError', refuseGarbage);
  await claimSocketPath(socketPath);
  await listen(server, socketPath, mode);
  server.on('error', (error) => {
    warn(`the server on ${socketPath}: ${errorText(error)}`);
  });
  return { close: () => close(server) };
}

/** Whether this peer may change things. A socket of mode 0600 could be opened by its owner (and root) only. */
function isAllowed(peer: Peer, mode: number): boolean {
  return peer.kind === 'known' ? isTrustedOwner(peer.uid) : (mode & 0o777) === OWNER_ONLY;
}

function limitLife(socket: Socket, lifeMs: number): void {
  const timer = setTimeout(() => {
    socket.destroy();
  }, lifeMs).unref();
  socket.once('close', () => {
    clearTimeout(timer);
  });
}

function refuseGarbage(error: Error, socket: Duplex): void {
  const code = systemErrorCode(error);
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const isLate = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const refusal = isLate
    ? ({ status: 408, code: 'ETIMEDOUT', message: 'the request did not arrive in time' } as const)
    : ({ status: 400, code: 'EBADREQUEST', message: 'this is not an HTTP request that can be understood' } as const);
  socket.end(rawRefusal(refusal), () => {
    socket.destroy();
  });
}

/** Binds with the umask set for the moment, so that the file has its mode from its first instant and needs no chmod. */
function listen(server: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const code = systemErrorCode(error) === 'EADDRINUSE' ? 'EUNAVAILABLE' : 'EIO';
      const advice = 'Check that its folder is there and that this user may write to it';
      reject(
        new SelfballoonError({ code, message: `cannot listen on ${path}: ${errorText(error)}`, advice, cause: error }),
      );
    });
    const umaskBefore = process.umask(0o777 & ~mode);
    try {
      server.listen(path, () => {
        server.removeAllListeners('error');
        resolve();
      });
    } finally {
      process.umask(umaskBefore);
    }
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}
