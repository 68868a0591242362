import type { IncomingMessage, ServerResponse } from "node:http";
import { describeError } from "@smartstack/core";
import { type Answer, Refused, send } from "./answer.ts";
import type { EventsStream } from "./events-stream.ts";
import { type Caller, changeRefusal, hostProblem } from "./guard.ts";
import { ROUTES, type Route, type RouteDeps } from "./routes.ts";

export interface ServerDeps extends RouteDeps {
  readonly stream: EventsStream;
  readonly token: string | undefined;
  /** The address that clients may name in their Host header; undefined for a unix socket. */
  readonly listenHost: string | undefined;
}

/** Answers one request. Never rejects, whatever the request or the sources do. */
export async function respond(message: IncomingMessage, response: ServerResponse, deps: ServerDeps): Promise<void> {
  try {
    const answer = await answerTo(message, response, deps);
    if (answer !== undefined) send(response, answer);
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const status = error instanceof Refused ? error.status : 500;
    const reason = error instanceof Refused ? error.message : `internal error: ${describeError(error)}`;
    // The rest of a refused body is not read: the connection cannot be used again.
    const headers = message.complete ? {} : { connection: "close" };
    send(response, { status, body: { error: reason }, headers });
  }
}

/** Undefined when a handler has taken the response over. */
async function answerTo(
  message: IncomingMessage,
  response: ServerResponse,
  deps: ServerDeps,
): Promise<Answer | undefined> {
  const caller = callerOf(message, deps.listenHost === undefined);
  const problem = hostProblem(caller, deps.listenHost);
  if (problem !== undefined) throw new Refused(403, problem);
  const url = parseTarget(message.url ?? "/");
  const matches = ROUTES.flatMap((route) => {
    const params = matchPath(route.path, url.pathname);
    return params === undefined ? [] : [{ route, params }];
  });
  if (matches.length === 0) throw new Refused(404, `no such path: ${url.pathname}`);
  const method = message.method === "HEAD" ? "GET" : message.method;
  const match = matches.find(({ route }) => route.method === method);
  if (match === undefined) {
    const allow = matches.map(({ route }) => route.method).join(", ");
    return { status: 405, body: { error: `${message.method} is not possible here` }, headers: { allow } };
  }
  const refusal = match.route.method === "GET" ? undefined : changeRefusal(caller, deps.token);
  if (refusal !== undefined) throw new Refused(refusal.status, refusal.reason);
  return handle(match.route, { params: match.params, query: url.searchParams, message }, response, deps);
}

async function handle(
  route: Route,
  request: Parameters<Exclude<Route["handle"], string>>[0],
  response: ServerResponse,
  deps: ServerDeps,
): Promise<Answer | undefined> {
  if (route.handle !== "events") return route.handle(request, deps);
  deps.stream.serve(response);
  return undefined;
}

function callerOf(message: IncomingMessage, viaUnixSocket: boolean): Caller {
  const { host, authorization } = message.headers;
  return { viaUnixSocket, localAddress: message.socket.localAddress, host, authorization };
}

function parseTarget(target: string): URL {
  // The client's own Host must not take part in parsing, nor a target such as //name/.
  if (!target.startsWith("/")) throw new Refused(400, "the request target is not a path");
  try {
    return new URL(`http://admin.invalid${target}`);
  } catch {
    throw new Refused(400, "the request target is not a path");
  }
}

/** The variable segments of `path` if it fits `pattern`. */
function matchPath(pattern: string, path: string): readonly string[] | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const params: string[] = [];
  for (const [at, segment] of wanted.entries()) {
    const value = given[at] ?? "";
    if (segment === ":") params.push(decoded(value));
    else if (segment !== value) return undefined;
  }
  return params;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refused(400, "the path holds a broken percent sequence");
  }
}
