import {
  assertInstanceId,
  assertServiceName,
  type Clock,
  decodeNodeEntry,
  describeError,
  encodeInstance,
  type Instance,
  type InstanceRecord,
  isStackError,
  type NodeEntry,
  type Session,
  StackError,
} from "@smartstack/core";
import { assertUnclaimed, holderBesides } from "./claims.ts";
import { type Changes, type Held, instancePath, nodePath } from "./contents.ts";
import { counting } from "./counting.ts";
import { lastWord } from "./last-word.ts";
import type { Link } from "./link.ts";
import type { Copy } from "./mirror.ts";
import { type OwnEntries, ownEntries } from "./own-entries.ts";

/** What a driver knows how to do while it holds a node: the part of a session that differs between kinds of registry. */
export interface Holder {
  /** The lease or session that own entries hang on, where there is such. */
  readonly hold?: string;
  /** Writes on the condition that this boot owns the node. @throws StackError, as refused() for a lost or taken node. */
  write(path: string, text: string): Promise<void>;
  /**
   * Deletes on the same condition, and leaves what names another node: the registry is asked, as the watch may not have
   * shown yet who took it. Absent is fine.
   */
  erase(path: string): Promise<void>;
  /** Asks the registry who owns the node, past every cache. @throws as write, when it is not this boot. */
  verify(): Promise<void>;
  /** Deletes the instances, lets watchers see that, and then the node entry. */
  withdraw(paths: readonly string[]): Promise<void>;
  /** Renews now: what was written stays for one whole ttl from here on. */
  renew(): Promise<void>;
  /** Stops renewing and lets go of the connection at once; what was written stays for one ttl. */
  stop(): void;
}

export interface SessionOptions {
  readonly owner: NodeEntry;
  readonly copy: Copy;
  readonly holder: Holder;
  /** What was written while taking over: the watch may not have shown it yet. */
  readonly written: Changes;
  /** Aborted by the driver when it stops being able to hold the node. */
  readonly lost: AbortController;
  readonly link: Link;
  readonly clock: Clock;
}

/** A session over a driver's holder. */
export function openSession(options: SessionOptions): Session {
  const { owner, copy, lost, link, clock } = options;
  const holder = counting(options.holder, link);
  let notify: (() => void) | undefined;
  let closed: Promise<void> | undefined;
  let closing = false;
  /** The registry was closed, and its connection with it. */
  let shut = false;
  const shown = new AbortController();
  const tell = (): void => {
    if (!lost.signal.aborted && !closing) notify?.();
  };
  const own = ownEntries(owner.node, copy, clock, tell);
  for (const [path, held] of options.written) own.wrote(path, held);

  const lose = (error: StackError): void => loseOnce(lost, error);
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    if (shown.signal.aborted) throw shown.signal.reason;
    if (closing) throw new StackError("CLOSED", "the session was closed", { side: "self", retry: "never" });
    try {
      await work();
    } catch (error) {
      if (isStackError(error) && isLoss(error) && !closing) lose(error);
      // What fails because the session was lost meanwhile fails for that reason.
      throw shown.signal.aborted ? shown.signal.reason : error;
    }
  };
  const assureOwner = (): Promise<void> =>
    guarded(() => holder.verify()).catch((error: unknown) => {
      link.note(error);
      // Who cannot be asked may well say no: the next session asks again.
      if (!closing) lose(sessionLost("nobody could say whether the node entry is still ours", error));
    });
  const leave = copy.subscribe({
    changed(changes) {
      const foreign = own.saw(changes);
      const doubtful = !closing && concernsNode(changes, owner, holder.hold);
      // A lease that ends takes every entry along: to put back thousands, one by one, of a node that is not ours is in vain.
      if (doubtful) void assureOwner().then(() => foreign && tell());
      else if (foreign) tell();
    },
    ended(error) {
      // Without its own watch a session would not see foreign changes: begin anew. The lease or session is kept.
      if (error.code === "CLOSED") shut = true;
      else if (!closing) lose(sessionLost("the watch of our own entries broke", error));
    },
  });
  const end = (): void => {
    leave();
    holder.stop();
    // What ends by our own hand is not lost.
    if (closing) return;
    link.down(lost.signal.reason);
    shown.abort(lost.signal.reason);
  };
  lost.signal.addEventListener("abort", end, { once: true });
  const close = async (mode: "keep" | "withdraw"): Promise<void> => {
    if (lost.signal.aborted) return;
    if (!shut) await lastWord(mode, { holder, link, clock }, [...own.entries().keys()]);
    holder.stop();
  };
  if (lost.signal.aborted) end();

  return {
    entries: () => own.entries(),
    put: (record) =>
      guarded(async () => {
        assertUnclaimed(record, owner, copy);
        await writeIfNews(record, owner, own, holder);
      }),
    drop: (service, id) =>
      guarded(async () => {
        assertServiceName(service);
        assertInstanceId(id);
        const path = instancePath(service, id);
        // What another living nerve holds is not ours to delete; of ours there is nothing.
        if (holderBesides(owner, copy, path) !== undefined) return;
        await tracked(own, path, undefined, () => holder.erase(path));
      }),
    onForeignChange(listener) {
      notify = listener;
    },
    lost: shown.signal,
    close(mode) {
      closing = true;
      closed ??= close(mode).finally(leave);
      return closed;
    },
  };
}

/** An instance as it is written: it always names the node and boot that hold it. */
export function claimedBy({ node, boot }: NodeEntry, instance: Instance): Instance {
  return { ...instance, node, boot };
}

async function writeIfNews(record: InstanceRecord, owner: NodeEntry, own: OwnEntries, holder: Holder): Promise<void> {
  assertServiceName(record.service);
  assertInstanceId(record.id);
  const path = instancePath(record.service, record.id);
  const text = encodeInstance(claimedBy(owner, record.instance));
  const present = own.get(path);
  if (present?.text === text && present.hold === holder.hold) return;
  await tracked(own, path, heldBy(holder, text), () => holder.write(path, text));
}

async function tracked(
  own: OwnEntries,
  path: string,
  held: Held | undefined,
  write: () => Promise<void>,
): Promise<void> {
  const ended = own.begins(path, held);
  try {
    await write();
    own.wrote(path, held);
  } finally {
    ended();
  }
}

function heldBy(holder: Holder, text: string): Held {
  return holder.hold === undefined ? { text } : { text, hold: holder.hold };
}

function concernsNode(changes: Changes, owner: NodeEntry, hold: string | undefined): boolean {
  const path = nodePath(owner.node);
  if (!changes.has(path)) return false;
  const held = changes.get(path);
  return bootOf(held?.text) !== owner.boot || held?.hold !== hold;
}

/** Which boot a node entry names; undefined when there is none or it does not parse. */
export function bootOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeNodeEntry(text).boot;
  } catch {
    // Whatever it is, it names no boot; taking over replaces it.
    return undefined;
  }
}

export function loseOnce(lost: AbortController, error: StackError): void {
  if (!lost.signal.aborted) lost.abort(error);
}

function isLoss(error: StackError): boolean {
  return error.code === "REGISTRY_FENCED" || error.code === "REGISTRY_SESSION_LOST";
}

export function sessionLost(reason: string, cause?: unknown): StackError {
  return new StackError("REGISTRY_SESSION_LOST", reason, { side: "registry", retry: "after-backoff", cause });
}

export function fenced(owner: NodeEntry, text: string | undefined): StackError {
  const entry = text === undefined ? undefined : readable(text);
  const by = entry === undefined ? "another nerve" : `boot ${entry.boot} on ${entry.host}`;
  return new StackError(
    "REGISTRY_FENCED",
    `node id ${owner.node} was taken over by ${by}; give one of the two another docker.node`,
    {
      side: "registry",
      retry: "never",
    },
  );
}

function readable(text: string): NodeEntry | undefined {
  try {
    return decodeNodeEntry(text);
  } catch {
    return undefined;
  }
}

/** The error for a write whose condition failed, from the node entry found instead of ours. */
export function refused(owner: NodeEntry, text: string | undefined): StackError {
  if (text === undefined) return sessionLost(`the node entry of ${owner.node} is gone`);
  if (bootOf(text) === owner.boot) return sessionLost(`the node entry of ${owner.node} changed`);
  return fenced(owner, text);
}

/** @throws StackError REGISTRY_FENCED when a boot that announced before finds another one in its place. */
export function assertNotTakenOver(owner: NodeEntry, announcedBefore: boolean, text: string | undefined): void {
  const boot = bootOf(text);
  if (announcedBefore && boot !== undefined && boot !== owner.boot) throw fenced(owner, text);
}

/** A failed call of a client library as one of ours. */
export function unreachable(what: string, cause: unknown): StackError {
  return new StackError("REGISTRY_UNREACHABLE", `${what}: ${describeError(cause)}`, {
    side: "registry",
    retry: "after-backoff",
    cause,
  });
}
