/**
 * Node.js' HTTP, and only that. An `import` of `node:http` reads every name that it exports, and since Node.js 22 three of them
 * (`WebSocket`, `CloseEvent`, `MessageEvent`) load a second HTTP client when they are read: 5.5 to 6.7 MiB of private memory for
 * nothing (seen on 22.23, 24.21 and 26.10). Types may be imported as ever.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');
