import type { Readable } from "node:stream";
import { type Clock, StackError, withDeadline } from "@smartstack/core";
import type Docker from "dockerode";
import type { EndpointJson, InspectJson } from "./containers.ts";
import { dockerError, type Endpoint, openTransport, statusOf, targetOf } from "./docker-transport.ts";
import { CONTAINER_ACTIONS, type ContainerEvent, HIDDEN_SIGNAL, NETWORK_ACTIONS } from "./lifecycle.ts";
import { lineFramer } from "./ndjson.ts";

/** Every answer of the engine must come within this. */
const CALL_MS = 5_000;

/** The parts of one element of `GET /containers/json` that are read here. */
export interface ContainerSummary {
  readonly Id: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  /** running, paused, restarting, exited, created, dead. */
  readonly State?: string;
  /** For people, and the only place of a list that tells the health: `Up 5 minutes (healthy)`. */
  readonly Status?: string;
  readonly Ports?: readonly ListedPort[] | null;
  readonly NetworkSettings?: { readonly Networks?: Readonly<Record<string, EndpointJson | null>> | null } | null;
}

/** One `-p` of a list; without PublicPort a port that is only exposed. */
export interface ListedPort {
  readonly IP?: string;
  readonly PrivatePort?: number;
  readonly PublicPort?: number;
  readonly Type?: string;
}

export interface EngineInfo {
  readonly id: string;
  readonly name: string;
}

/** The engine, GET only. Every promise settles within 5 s. @throws StackError DOCKER_UNREACHABLE or DOCKER_FAILED. */
export interface DockerApi {
  /** Where, for people: /var/run/docker.sock or host:port. */
  readonly target: string;
  info(): Promise<EngineInfo>;
  ping(): Promise<void>;
  /** All containers, also those that do not run. */
  list(labels: readonly string[]): Promise<readonly ContainerSummary[]>;
  /** Undefined when there is no such container any more. */
  inspect(id: string): Promise<InspectJson | undefined>;
  /** Resolves once the engine has taken the subscription; `onEvent` is called until `closed` settles. It always rejects. */
  events(onEvent: (event: ContainerEvent) => void, signal: AbortSignal): Promise<{ readonly closed: Promise<never> }>;
}

/** Opens no connection yet. `stopping` ends every call at once. @throws StackError CONFIG_INVALID, to be tried again, when a TLS file cannot be read. */
export async function dockerApi(endpoint: Endpoint, clock: Clock, stopping: AbortSignal): Promise<DockerApi> {
  // Loaded only by who watches Docker.
  const { default: Client } = await import("dockerode");
  const target = targetOf(endpoint.host);
  const transport = await openTransport(endpoint);
  // Separate clients: the library's timeout also kills an event stream that is merely quiet.
  const calls = new Client(transport(CALL_MS)) as Docker & Abortable;
  const streams = new Client(transport(0));
  const call = async <T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    // By hand: AbortSignal.any leaves something of each call on the lasting signal for ever (Node 20).
    stopping.addEventListener("abort", end, { once: true });
    if (stopping.aborted) end();
    try {
      return await withDeadline(work(ending.signal), { clock, ms: CALL_MS, what: `docker ${what}`, side: "docker" });
    } catch (error) {
      end();
      throw dockerError(target, what, error);
    } finally {
      stopping.removeEventListener("abort", end);
    }
  };
  return {
    target,
    info: () =>
      call("info", async (abortSignal) => {
        const info = (await calls.info({ abortSignal })) as { readonly ID?: string; readonly Name?: string };
        if (info.ID) return { id: info.ID, name: info.Name ?? "" };
        // All engines without an id would be one node, and take it over from each other.
        throw new StackError("DOCKER_FAILED", `docker at ${target} tells no id to name this node by: set docker.node`, {
          side: "docker",
          retry: "after-backoff",
        });
      }),
    ping: () => call("ping", async (abortSignal) => void (await calls.ping({ abortSignal }))),
    list: (labels) =>
      call("list", async (abortSignal) => {
        const filters = labels.length === 0 ? {} : { label: [...labels] };
        const found: unknown = await calls.listContainers({ all: true, filters, abortSignal });
        if (!Array.isArray(found) || !found.every(isContainer)) throw new Error("the answer is no list of containers");
        return found;
      }),
    inspect: (id) =>
      call("inspect", async (abortSignal) => {
        try {
          const found: unknown = await calls.getContainer(id).inspect({ abortSignal });
          if (!isContainer(found)) throw new Error("the answer is no container");
          return found;
        } catch (error) {
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      }),
    events: (onEvent, signal) =>
      call("events", async (abortSignal) => {
        const filters = {
          type: ["container" as const, "network" as const],
          event: [...CONTAINER_ACTIONS, ...NETWORK_ACTIONS],
        };
        const stream: NodeJS.ReadableStream = await streams.getEvents({ filters, abortSignal });
        return { closed: readEvents(stream as Readable, onEvent, signal, target) };
      }),
  };
}

/** As much as tells an answer from another page: all else may be missing. */
function isContainer(answer: unknown): answer is { readonly Id: string } {
  return typeof (answer as { readonly Id?: unknown } | null)?.Id === "string";
}

/** What the library takes and its types do not say. */
interface Abortable {
  info(options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
  ping(options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
}

/**
 * Reads until the stream ends, however it ends: a stopped engine ends it silently, a killed one with an error. `close`
 * comes in every case.
 */
function readEvents(
  stream: Readable,
  onEvent: (event: ContainerEvent) => void,
  signal: AbortSignal,
  target: string,
): Promise<never> {
  const framer = lineFramer();
  let failure: unknown;
  const abort = (): void => void stream.destroy();
  const closed = new Promise<never>((_, reject) => {
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const line of framer.push(chunk)) {
          const event = parseEvent(line);
          if (event !== undefined) onEvent(event);
        }
      } catch (error) {
        failure ??= error;
        stream.destroy();
      }
    });
    stream.on("error", (error) => {
      failure ??= error;
    });
    stream.on("close", () => {
      signal.removeEventListener("abort", abort);
      reject(dockerError(target, "events", failure ?? new Error("the engine ended the event stream")));
    });
  });
  // Whoever waits for it sees the rejection; while nobody does yet it must not count as unhandled.
  closed.catch(() => undefined);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  return closed;
}

interface EventJson {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

/** One line of `/events`; undefined when it is none of ours or does not parse. Pure. */
export function parseEvent(line: string): ContainerEvent | undefined {
  let json: EventJson | null;
  try {
    json = JSON.parse(line) as EventJson | null;
  } catch {
    // A line that makes no sense costs nothing that the reconcile does not give back.
    return undefined;
  }
  const attributes = json?.Actor?.Attributes ?? {};
  // `health_status: healthy` carries its verdict behind a colon.
  const action = (json?.Action ?? "").split(":")[0];
  const network = json?.Type === "network";
  const actions: readonly string[] = network ? NETWORK_ACTIONS : json?.Type === "container" ? CONTAINER_ACTIONS : [];
  const container = network ? attributes.container : json?.Actor?.ID;
  if (action === undefined || !actions.includes(action) || container === undefined || container === "")
    return undefined;
  const signal = attributes.signal === undefined ? undefined : signalOf(attributes.signal);
  const labels = network ? undefined : attributes;
  return { container, action: action as ContainerEvent["action"], signal, labels };
}

function signalOf(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : HIDDEN_SIGNAL;
}
