import type { Backend } from "./backend.ts";
import { type DialOptions, dial } from "./dial.ts";
import { createTimeout, type Timeout } from "./timer-wheel.ts";
import type { Wire, WireOwner } from "./wire.ts";

/** Idle connections kept for one backend; more are closed when they come back. */
const IDLE_MAX = 256;
/** An idle connection is closed after this: what is not used is not worth a socket on both sides. */
const IDLE_MS = 30_000;

/** Whoever has a request on an upstream connection. Called from the connection's events, never after it let go. */
export interface UpstreamOwner {
  upstreamConnected(): void;
  /** The bytes lie in memory that the next event overwrites. */
  upstreamData(bytes: Buffer): void;
  /** The backend will send no more. */
  upstreamEnded(): void;
  /** The connection is gone; without an error it was closed by us, at the end of a drain. */
  upstreamClosed(error: NodeJS.ErrnoException | undefined): void;
  upstreamDrained(): void;
}

/** One HTTP connection to a backend: in use while it has an owner, else waiting in the backend's idle list. */
export interface Upstream {
  readonly wire: Wire;
  readonly backend: Backend;
  readonly idleTimeout: Timeout;
  readonly options: DialOptions;
  owner: UpstreamOwner | undefined;
  connected: boolean;
  /** It has carried a request before this one. */
  reused: boolean;
}

/** The backend's last used idle connection, if there is one. LIFO, so that those too many age and close. */
export function takeIdle(backend: Backend, owner: UpstreamOwner): Upstream | undefined {
  for (;;) {
    const upstream = backend.idle.pop();
    if (upstream === undefined) return undefined;
    if (!upstream.wire.writable) continue;
    upstream.options.wheel.suspend(upstream.idleTimeout);
    upstream.owner = owner;
    upstream.reused = true;
    return upstream;
  }
}

/** A new connection; bytes may be written to it at once. */
export function openUpstream(backend: Backend, owner: UpstreamOwner, options: DialOptions): Upstream {
  // Nobody's bytes, an end or an error on an idle connection: it must never carry another request.
  const wireOwner: WireOwner = {
    wireData(bytes) {
      if (upstream.owner === undefined) dropUpstream(upstream);
      else upstream.owner.upstreamData(bytes);
    },
    wireEnded() {
      if (upstream.owner === undefined) dropUpstream(upstream);
      else upstream.owner.upstreamEnded();
    },
    wireDrained: () => upstream.owner?.upstreamDrained(),
    wireClosed(error) {
      forget(upstream);
      const last = upstream.owner;
      upstream.owner = undefined;
      last?.upstreamClosed(error);
    },
  };
  const connected = (): void => {
    upstream.connected = true;
    upstream.owner?.upstreamConnected();
  };
  const upstream: Upstream = {
    wire: dial(backend, options, wireOwner, connected),
    backend,
    idleTimeout: createTimeout(() => dropUpstream(upstream)),
    options,
    owner,
    connected: false,
    reused: false,
  };
  upstream.wire.resume();
  return upstream;
}

/** Gives a connection back after a complete exchange. */
export function releaseUpstream(upstream: Upstream): void {
  upstream.owner = undefined;
  const { backend, wire, options } = upstream;
  // A connection that began with one client's address must not carry another's requests.
  if (options.preface !== undefined || !backend.usable || tooManyKept(backend) || !wire.writable) {
    dropUpstream(upstream);
    return;
  }
  // It may have been paused for a slow client; nobody would notice its end then.
  wire.resume();
  backend.idle.push(upstream);
  options.wheel.arm(upstream.idleTimeout, IDLE_MS);
}

/** Closes a connection that is in no state to be used again. */
export function dropUpstream(upstream: Upstream): void {
  upstream.owner = undefined;
  forget(upstream);
  upstream.wire.destroy();
}

function tooManyKept({ idle, wires, wiresMax }: Backend): boolean {
  return idle.length >= IDLE_MAX || wires.size > wiresMax;
}

/** Closes the longest idle connections to a backend that, with those in use, are more than it may have. */
export function closeExcess(backend: Backend): void {
  const { active, idle, wiresMax } = backend;
  const excess = active + idle.length - wiresMax;
  if (excess > 0) for (const upstream of idle.slice(0, excess)) dropUpstream(upstream);
}

function forget(upstream: Upstream): void {
  upstream.options.wheel.disarm(upstream.idleTimeout);
  const index = upstream.backend.idle.indexOf(upstream);
  if (index >= 0) upstream.backend.idle.splice(index, 1);
}

/** Closes every idle connection of a backend that takes no more traffic. */
export function closeIdle(backend: Backend): void {
  for (const upstream of backend.idle.splice(0)) dropUpstream(upstream);
}
