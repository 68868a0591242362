import { type Clock, StackError } from "@smartstack/core";
import type { CloseOptions, ProxyServiceStatus } from "../data-plane.ts";
import type { StreamHandle } from "../handles.ts";
import type { ListenAddress } from "../snapshot.ts";
import type { WorkerProcess } from "./process.ts";
import { type HealthTurn, PROTOCOL, type ToControl, type ToWorker } from "./protocol.ts";

/** One worker as the control process sees it. */
export interface Member {
  readonly pid: number;
  /** Wall clock. */
  readonly startedMs: number;
  /** Serves what it has to its end, and takes nothing new. */
  readonly retired: boolean;
  /** The last snapshot whose listeners it has settled; -1 before the first. */
  readonly settled: number;
  /** Clients it had when it last told, and those on their way to it. */
  readonly clients: number;
  /** Gives it a connection that another worker accepted. */
  give(key: string, handle: StreamHandle, sent: () => void): void;
  /** Monotonic: when it last told anything. */
  heardMs: number;
  readonly reports: Map<string, ProxyServiceStatus>;
  send(message: ToWorker, handle?: StreamHandle, sent?: () => void): void;
  retire(options: CloseOptions): void;
  /** Resolves once it serves the first snapshot. Rejects when it is gone before, or speaks another protocol. */
  readonly ready: Promise<void>;
  readonly gone: Promise<string>;
  kill(): void;
}

export interface MemberActions {
  readonly onSettled: () => void;
  /** These services have news: listeners or counters. */
  readonly onReport: (names: readonly string[]) => void;
  readonly onFailed: (turn: Omit<HealthTurn, "up">) => void;
  readonly onOverload: (overloaded: boolean, pid: number) => void;
  /** A connection beyond its share. */
  readonly onOver: (key: string, handle: StreamHandle) => void;
  readonly hold: (key: string, address: ListenAddress) => Promise<StreamHandle>;
}

export function createMember(process: WorkerProcess, clock: Clock, actions: MemberActions): Member {
  let given = 0;
  let told = { clients: 0, adopted: 0 };
  const reports = new Map<string, ProxyServiceStatus>();
  let serve: () => void = () => undefined;
  let refuse: (error: Error) => void = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    serve = resolve;
    refuse = reject;
  });
  // Whoever started it looks at it; one that is gone later has nobody waiting.
  ready.catch(() => undefined);
  const member = {
    pid: process.pid,
    startedMs: clock.now(),
    retired: false,
    settled: -1,
    get clients(): number {
      return told.clients + given - told.adopted;
    },
    give(key: string, handle: StreamHandle, sent: () => void): void {
      given++;
      process.send({ kind: "adopt", key }, handle, sent);
    },
    heardMs: clock.monotonic(),
    reports,
    send: process.send,
    retire(options: CloseOptions): void {
      member.retired = true;
      process.send({ kind: "close", options });
    },
    ready,
    gone: process.gone,
    kill: process.kill,
  };

  async function giveSocket({ ask, key, address }: Extract<ToControl, { kind: "listen" }>): Promise<void> {
    try {
      process.send({ kind: "listening", ask }, await actions.hold(key, address));
    } catch (error) {
      const { code = "UNKNOWN", message } = error as NodeJS.ErrnoException;
      process.send({ kind: "listening", ask, error: { code, message } });
    }
  }

  process.onMessage((message, handle) => {
    member.heardMs = clock.monotonic();
    switch (message.kind) {
      case "hello":
        if (message.protocol !== PROTOCOL) refuse(otherProtocol(process.pid, message.protocol));
        return;
      case "listen":
        void giveSocket(message);
        return;
      case "settled":
        // A listener that was dropped may be settled late.
        member.settled = Math.max(member.settled, message.revision);
        serve();
        actions.onSettled();
        return;
      case "failed":
        actions.onFailed(message);
        return;
      case "overload":
        actions.onOverload(message.overloaded, process.pid);
        return;
      case "over":
        told = message.load;
        if (handle !== undefined) actions.onOver(message.key, handle);
        return;
      case "report":
        told = message.load;
        for (const report of message.services) reports.set(report.name, report);
        actions.onReport(message.services.map(({ name }) => name));
    }
  });
  process.gone.then((how) => refuse(ended(process.pid, how)));
  return member;
}

export function ended(pid: number, how: string): StackError {
  return new StackError("INTERNAL", `worker ${pid} ended: ${how}`, { side: "self", retry: "at-once" });
}

function otherProtocol(pid: number, protocol: number): StackError {
  return new StackError(
    "INTERNAL",
    `worker ${pid} speaks protocol ${protocol}, this process ${PROTOCOL}: its code is of another version; restart the whole process`,
    { side: "self", retry: "after-backoff" },
  );
}
