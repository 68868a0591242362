import {
  type EventBus,
  entryKey,
  type Instance,
  type InstanceRecord,
  isStackError,
  type Session,
  StackError,
  sameInstance,
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
  /**
   * Nothing is under way any more when it settles. `reason`: why entries go, when it is not theirs. Returns the entries
   * that the registry refused, by entryKey: none of them keeps another from being written.
   * @throws StackError of the first write that says that there is no writing at all.
   */
  apply(session: Session, work: Plan, reason?: string): Promise<ReadonlyMap<string, StackError>>;
  /** These were written by an earlier run. */
  adopted(entries: ReadonlyMap<string, Instance>): void;
  /** A session began with these in it: tells which of them are new, and what went while there was none. */
  restored(records: readonly InstanceRecord[], session: Session): void;
}

interface Job {
  readonly service: string;
  readonly id: string;
  readonly run: () => Promise<void>;
}

export function registryWriter(deps: WriterDeps): RegistryWriter {
  const { events } = deps;
  /** What we last wrote: an entry that differs from it without our doing is repaired. */
  const written = new Map<string, Instance>();

  const put = async (session: Session, record: InstanceRecord): Promise<void> => {
    const { service, id, instance } = record;
    await retriable(session.put(record));
    const before = written.get(entryKey(service, id));
    if (before !== undefined && sameInstance(before, instance)) events.publish("instance.repaired", { service, id });
    wrote(record, instance);
  };
  const wrote = ({ service, id }: InstanceRecord, instance: Instance): void => {
    const key = entryKey(service, id);
    if (!written.has(key))
      events.publish("instance.announced", { service, id, address: formatAddress(instance.host, instance.port) });
    written.set(key, instance);
  };
  const drop = async (session: Session, { service, id }: Plan["drop"][number], why?: string): Promise<void> => {
    const key = entryKey(service, id);
    const reason = why ?? deps.withdrawalReason(key);
    await retriable(session.drop(service, id));
    written.delete(key);
    deps.onDropped(key);
    events.publish("instance.withdrawn", { service, id, reason });
  };

  return {
    async apply(session, work, reason) {
      // What is gone leaves first: it is the one that fails requests.
      const jobs: Job[] = [];
      for (const entry of work.drop) jobs.push({ ...entry, run: () => drop(session, entry, reason) });
      for (const record of work.put) jobs.push({ ...record, run: () => put(session, record) });
      const refused = new Map<string, StackError>();
      const failures: unknown[] = [];
      const worker = async (): Promise<void> => {
        for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
          try {
            await job.run();
          } catch (error) {
            if (isStackError(error) && error.code === "REGISTRY_FAILED") {
              refused.set(entryKey(job.service, job.id), error);
              continue;
            }
            failures.push(error);
            // A server that does not answer will not answer the rest either.
            jobs.length = 0;
          }
        }
      };
      // All of them: a write that comes after the next plan would undo what that one decided.
      await Promise.all(Array.from({ length: Math.min(WRITES_MAX, jobs.length) }, worker));
      if (failures.length > 0) throw failures[0];
      return refused;
    },
    adopted(entries) {
      for (const [key, entry] of entries) written.set(key, entry);
    },
    restored(records, session) {
      const entries = session.entries();
      for (const record of records) {
        const entry = entries.get(entryKey(record.service, record.id));
        if (entry !== undefined) wrote(record, entry);
      }
      for (const key of [...written.keys()]) {
        if (entries.has(key)) continue;
        written.delete(key);
        const [service = "", id = ""] = key.split("/");
        events.publish("instance.withdrawn", { service, id, reason: "it ended while the registry was away" });
      }
    },
  };
}

/** Only being fenced ends the announcing: a write that is hopeless by itself must not take all the others with it. */
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
