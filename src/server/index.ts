/** The server's public face. */
export { startAttributeFiles, type AttributeFiles, type AttributeFilesOptions } from './attribute-files.js';
export { request, type ClientAnswer, type ClientOptions } from './client.js';
export { peerOf, type Peer } from '../posix/peer.js';
export { startServer, type RunningServer, type ServerOptions } from './server.js';
export { attributeFolderOf, defaultSocketPath } from './socket-path.js';
export { decodeStatus, statusOf, type Status, type StatusGuest, type StatusReading } from './status.js';
