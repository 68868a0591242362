import type { Server } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { type Clock, eventBus, every, type Random } from "@smartstack/core";
import type { CloseOptions, ProxyServiceStatus } from "../data-plane.ts";
import type { StreamHandle } from "../handles.ts";
import { createProxy } from "../proxy.ts";
import type { ListenAddress, ServiceSpec } from "../snapshot.ts";
import { changedReports } from "./merge.ts";
import { ALONE, agentPortion, portion, portionOf } from "./portion.ts";
import { type Load, PROTOCOL, type ToControl, type ToWorker } from "./protocol.ts";
import { keepsClient } from "./share.ts";

/** The channel to the control process. */
export interface ControlLink {
  /** `sent` is called once message and handle have left: the copy of the handle here can be closed. */
  send(message: ToControl, handle?: StreamHandle, sent?: () => void): void;
  onMessage(listener: (message: ToWorker, handle: StreamHandle | undefined) => void): void;
  /** The control process is gone. */
  onEnd(listener: () => void): void;
}

export interface WorkerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly link: ControlLink;
  /** Ends the process. */
  readonly exit: () => void;
}

/** Connections on their way to another worker: the channel passes on one at a time. */
const LEAVING_MAX = 64;
const REPORT_EVERY_MS = 1_000;
/** Without its control process a worker knows of no change any more: what runs may end, under Docker's 10 s. */
const ORPHAN_GRACE_MS = 8_000;

/** The data plane in one of several processes: serves what it is told, on sockets it is given, and reports what it counts. */
export function runWorker({ clock, random, link, exit }: WorkerDeps): void {
  const specs = new Map<string, ServiceSpec>();
  const asks = new Map<number, (handle: StreamHandle | undefined, error: NodeJS.ErrnoException | undefined) => void>();
  let names: readonly string[] = [];
  let reported = new Map<string, ProxyServiceStatus>();
  let place = ALONE;
  let share = 0;
  let lastAsk = 0;
  let adopted = 0;
  let leaving = 0;
  let telling = false;
  let closing = false;

  const proxy = createProxy({
    clock,
    random,
    // The control process tells of health and listeners, once for all workers.
    events: eventBus(),
    // It probes for all of them, too.
    probe: "elsewhere",
    bind: listenOnShared,
    handOver,
    onOverload: (overloaded) => link.send({ kind: "overload", overloaded }),
    onHealth(turn) {
      if (!telling && !turn.up)
        link.send({ kind: "failed", service: turn.service, key: turn.key, reason: turn.reason });
    },
  });

  async function listenOnShared(key: string, server: Server, address: ListenAddress): Promise<void> {
    const ask = ++lastAsk;
    const handle = await new Promise<StreamHandle>((resolve, reject) => {
      asks.set(ask, (given, error) => {
        asks.delete(ask);
        if (given === undefined) reject(error ?? new Error("no socket came with the answer"));
        else resolve(given);
      });
      // It was given up: a socket that still comes has nobody to listen on it.
      server.once("close", () => {
        asks.delete(ask);
        reject(new Error("given up before its socket came"));
      });
      link.send({ kind: "listen", ask, key, address });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(handle, resolve);
    });
  }

  const load = (): Load => ({ clients: proxy.clients(), adopted });

  function handOver(key: string, handle: StreamHandle): boolean {
    if (closing || leaving >= LEAVING_MAX || keepsClient(proxy.clients(), share)) return false;
    leaving++;
    link.send({ kind: "over", key, load: load() }, handle, () => {
      leaving--;
      handle.close(() => undefined);
    });
    return true;
  }

  function apply(message: Extract<ToWorker, { kind: "apply" }>): void {
    const listens = message.changed.some(
      ({ name, listen }) => !isDeepStrictEqual(specs.get(name)?.listen ?? [], listen),
    );
    for (const spec of message.changed) specs.set(spec.name, portionOf(spec, place));
    names = message.names ?? names;
    if (message.names !== undefined) {
      const wanted = new Set(names);
      for (const name of [...specs.keys()]) if (!wanted.has(name)) specs.delete(name);
    }
    const { revision, clientsMax, shedLagMs } = message;
    const services = names.flatMap((name) => specs.get(name) ?? []);
    const snapshot = { revision, services, ...(shedLagMs === undefined ? {} : { shedLagMs }) };
    proxy.apply(clientsMax === undefined ? snapshot : { ...snapshot, clientsMax: portion(clientsMax, place) });
    proxy.settled().then(() => {
      // Counters can wait for their turn.
      if (listens) report();
      link.send({ kind: "settled", revision });
    });
  }

  function report(sent?: () => void): void {
    const now = proxy.status();
    const services = changedReports(reported, now);
    reported = new Map(now.map((service) => [service.name, service]));
    link.send({ kind: "report", load: load(), services }, undefined, sent);
  }

  async function close(options: CloseOptions): Promise<void> {
    closing = true;
    await proxy.close(options);
    stopReporting();
    report(exit);
  }

  link.onMessage((message, handle) => {
    switch (message.kind) {
      case "place":
        place = message.place;
        return;
      case "apply":
        return apply(message);
      case "health":
        telling = true;
        for (const { service, key, up, reason } of message.turns) proxy.tell(service, key, up, reason);
        telling = false;
        return;
      case "agent":
        proxy.tellAgent(message.service, message.key, agentPortion(message.agent, place));
        return;
      case "local":
        proxy.setLocalState(message.service, message.key, message.state);
        return;
      case "listening": {
        const { error } = message;
        const answer = asks.get(message.ask);
        if (answer === undefined) handle?.close(() => undefined);
        else answer(handle, error && Object.assign(new Error(error.message), { code: error.code }));
        return;
      }
      case "adopt":
        adopted++;
        if (handle !== undefined) proxy.adopt(message.key, handle);
        return;
      case "share":
        share = message.clients;
        return;
      case "close":
        void close(message.options);
    }
  });
  link.onEnd(() => void close({ graceMs: ORPHAN_GRACE_MS, acceptWhileDraining: false }));
  const stopReporting = every(clock, REPORT_EVERY_MS, report);
  link.send({ kind: "hello", protocol: PROTOCOL });
}
