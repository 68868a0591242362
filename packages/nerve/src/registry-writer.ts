import {
  type EventBus,
  encodeInstance,
  entryKey,
  type InstanceRecord,
  isStackError,
  type Session,
  StackError,
} from "@smartstack/core";
import { formatAddress } from "./addresses.ts";
import type { Plan } from "./plan.ts";

/** Writes that wait for the registry at the same time. */
const WRITES_MAX = 16;

export interface WriterDeps {
  readonly events: EventBus;
  /** Why an entry goes, for people. */
  readonly withdrawalReason: (key: string) => string;
  /** An entry has gone by our doing. */
  readonly onDropped: (key: string) => void;
}

/** Carries plans out, and tells what was announced, withdrawn and repaired. */
export interface RegistryWriter {
  /** Nothing is under way any more when it settles. @throws StackError of a write that failed; others may have been made. */
  apply(session: Session, work: Plan): Promise<void>;
}

export function registryWriter(deps: WriterDeps): RegistryWriter {
  const { events } = deps;
  /** What we last wrote, encoded: an entry that differs from it without our doing is repaired. */
  const written = new Map<string, string>();

  const put = async (session: Session, record: InstanceRecord): Promise<void> => {
    const { service, id, instance } = record;
    const key = entryKey(service, id);
    const text = encodeInstance(instance);
    await retriable(session.put(record));
    const before = written.get(key);
    written.set(key, text);
    if (before === text) events.publish("instance.repaired", { service, id });
    if (before === undefined)
      events.publish("instance.announced", { service, id, address: formatAddress(instance.host, instance.port) });
  };
  const drop = async (session: Session, service: string, id: string): Promise<void> => {
    const key = entryKey(service, id);
    const reason = deps.withdrawalReason(key);
    await retriable(session.drop(service, id));
    written.delete(key);
    deps.onDropped(key);
    events.publish("instance.withdrawn", { service, id, reason });
  };

  return {
    async apply(session, work) {
      // What is gone leaves first: it is the one that fails requests.
      const jobs: (() => Promise<void>)[] = [];
      for (const { service, id } of work.drop) jobs.push(() => drop(session, service, id));
      for (const record of work.put) jobs.push(() => put(session, record));
      const worker = async (): Promise<void> => {
        for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
      };
      const workers = Array.from({ length: Math.min(WRITES_MAX, jobs.length) }, worker);
      // All of them: a write that comes after the next plan would undo what that one decided.
      const failed = (await Promise.allSettled(workers)).find((outcome) => outcome.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
  };
}

/** Only being fenced ends the announcing: a write that a driver calls hopeless must not take all the others with it. */
async function retriable(write: Promise<void>): Promise<void> {
  try {
    await write;
  } catch (cause) {
    if (isStackError(cause) && (cause.retry !== "never" || cause.code === "REGISTRY_FENCED")) throw cause;
    throw new StackError("REGISTRY_FAILED", "a write to the registry failed", {
      side: "registry",
      retry: "after-backoff",
      cause,
    });
  }
}
