/**
 * What the server answers to which request. It looks only at the read model and hands commands in; whether the asker may
 * change anything is a question that it is given the answer to.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import polka from 'polka';
import { acceptedText, findTunable, formatTunable, TUNABLES } from '../control/tunables.js';
import { errorText } from '../errors.js';
import type { Commands } from '../runtime/commands.js';
import type { ReadModel, Snapshot } from '../runtime/read-model.js';
import { sendAnswer, sendJson, sendRefusal, sendText } from './answers.js';
import { BODY_BYTES_MAX, readBody } from './body.js';
import { statusOf } from './status.js';

export interface RoutesOptions {
  readonly readModel: ReadModel;
  readonly commands: Commands;
  /** Whether the operating system lets whoever sent this request change things. */
  readonly mayChange: (request: IncomingMessage) => boolean;
  readonly warn: (message: string) => void;
}

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

interface Routed extends IncomingMessage {
  readonly params: Readonly<Record<string, string | readonly string[] | undefined>>;
}

type Answering = (request: Routed, response: ServerResponse) => void | Promise<void>;

/** Longer than the loop ever takes for one step. */
const COMMAND_LIMIT_MS = 5000;

const METHODS = ['GET', 'PUT', 'POST'] as const;

/** The handler of all requests. It never throws. */
export function makeRoutes(options: RoutesOptions): Handle {
  const { readModel, warn } = options;
  const guarded =
    (answer: Answering): Answering =>
    (request, response) => {
      guard(() => answer(request, response), response, warn);
    };
  const app = polka({
    onNoMatch: (request, response) => {
      sendNoMatch(app, request, response);
    },
  });
  app.get(
    '/v1/status',
    guarded((_, response) => {
      sendJson(response, 200, statusOf(readModel.snapshot()));
    }),
  );
  app.get(
    '/v1/health',
    guarded((_, response) => {
      sendJson(response, 200, { status: 'ok', version: readModel.snapshot().version });
    }),
  );
  app.get(
    '/v1/tunables',
    guarded((_, response) => {
      sendJson(response, 200, { tunables: tunableRows(readModel.snapshot()) });
    }),
  );
  app.get(
    '/v1/tunables/:name',
    guarded((request, response) => {
      sendTunable(readModel.snapshot(), nameIn(request), response);
    }),
  );
  app.put(
    '/v1/tunables/:name',
    guarded((request, response) => putTunable(options, request, response)),
  );
  app.post(
    '/v1/release',
    guarded((request, response) => release(options, request, response)),
  );
  const router: { handler(request: IncomingMessage, response: ServerResponse): void } = app;
  return (request, response) => {
    guard(
      () => {
        router.handler(request, response);
      },
      response,
      warn,
    );
  };
}

/** Runs one answer; whatever it throws becomes a 500 and a line in the log, never the end of the loop. */
function guard(run: () => void | Promise<void>, response: ServerResponse, warn: (message: string) => void): void {
  const fail = (error: unknown): void => {
    warn(`a request could not be answered: ${errorText(error)}`);
    if (response.headersSent) response.destroy();
    else
      sendRefusal(response, {
        status: 500,
        code: 'EIO',
        message: 'the request could not be answered; the log says why',
      });
  };
  try {
    Promise.resolve(run()).catch(fail);
  } catch (error) {
    fail(error);
  }
}

const nameIn = ({ params }: Routed): string => (typeof params['name'] === 'string' ? params['name'] : '');

const shownTunables = (snapshot: Snapshot) => TUNABLES.filter((row) => snapshot.hasFrontswap || !row.needsFrontswap);

const tunableRows = (snapshot: Snapshot): readonly object[] =>
  shownTunables(snapshot).map((row) => ({
    name: row.name,
    value: snapshot.tunables[row.name],
    unit: row.unit,
    allowed: acceptedText(row),
    summary: row.summary,
  }));

function sendTunable(snapshot: Snapshot, name: string, response: ServerResponse): void {
  const found = findTunable(name);
  if (found !== null && shownTunables(snapshot).includes(found)) {
    sendText(response, 200, 'text/plain', `${formatTunable(snapshot.tunables, found.name)}\n`);
    return;
  }
  const message =
    found === null ? `there is no tunable ${name}` : `${name} exists only where there is an overflow tier`;
  sendRefusal(response, { status: 404, code: 'ENOENT', message });
}

async function putTunable(options: RoutesOptions, request: Routed, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (body.kind === 'cut-short') return;
  if (body.kind === 'too-large') {
    sendRefusal(response, { status: 413, code: 'ETOOLARGE', message: `a body has at most ${BODY_BYTES_MAX} bytes` });
    return;
  }
  const mayChange = options.mayChange(request);
  const write = { name: nameIn(request), text: body.text, mayChange };
  await answerCommand(() => options.commands.writeTunable(write), response);
}

async function release(options: RoutesOptions, request: Routed, response: ServerResponse): Promise<void> {
  if (options.mayChange(request)) {
    await answerCommand(() => options.commands.release(), response);
    return;
  }
  sendAnswer(response, { result: 'EPERM', why: "giving all memory back needs the administrator's right" });
}

async function answerCommand(ask: () => ReturnType<Commands['release']>, response: ServerResponse): Promise<void> {
  const late = Symbol('late');
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, COMMAND_LIMIT_MS, late);
  });
  const answer = await Promise.race([ask(), limit]).finally(() => {
    clearTimeout(timer);
  });
  if (answer !== late) sendAnswer(response, answer);
  else
    sendRefusal(response, {
      status: 503,
      code: 'ETIMEDOUT',
      message: `no answer within ${COMMAND_LIMIT_MS} ms; it may still be carried out`,
    });
}

function sendNoMatch(app: polka.Polka, request: polka.Request, response: ServerResponse): void {
  const allowed = METHODS.filter((method) => Boolean(app.find(method, request.path)));
  if (allowed.length === 0) {
    sendRefusal(response, {
      status: 404,
      code: 'ENOENT',
      message: 'there is no such path; see docs/reference/http.md',
    });
    return;
  }
  response.setHeader('Allow', allowed.join(', '));
  const message = `${request.method ?? ''} is not possible here; ${allowed.join(', ')} is`;
  sendRefusal(response, { status: 405, code: 'EMETHOD', message });
}
