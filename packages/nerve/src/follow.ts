import {
  type Clock,
  describeError,
  type EventBus,
  keepAlive,
  mailbox,
  type Random,
  type Session,
  type StackError,
  type Transition,
} from "@smartstack/core";
import type { Changes, Scope } from "./changes.ts";
import { type Desired, entryPlace, plan } from "./plan.ts";
import type { RegistryWriter } from "./registry-writer.ts";

export interface FollowOptions {
  readonly session: Session;
  readonly writer: RegistryWriter;
  /** What shall lie in the registry now, as far as `scope` goes. */
  readonly desired: (scope: Scope) => Desired;
  /** What may have changed. */
  readonly changed: Changes;
  /** By entryKey, why the registry does not take an entry; kept up to date, and tried again at the pace of its own. */
  readonly refused: Map<string, string>;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Of the registry as a whole: one entry that it refuses is no outage. */
  readonly onTransition: (transition: Transition) => void;
  /** A round of writes is done. */
  readonly healthy: () => void;
}

/**
 * Keeps the registry at what is desired until `signal` aborts. Level-triggered: what was marked is compared, whatever
 * happened to it, and the difference written. Everything is compared at first, so also after a round that failed.
 * @throws StackError that says never to try again.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { session, writer, desired, changed, refused, clock, random, signal, onTransition } = options;
  const failed = mailbox<StackError>();
  let turn: Promise<unknown> = Promise.resolve();

  const round = async (scope: Scope): Promise<StackError | undefined> => {
    const wanted = desired(scope);
    const refusals = await writer.apply(session, plan(wanted, session.entries()));
    note(refusals, scope === "all" ? refused.keys() : wanted.keys, options);
    return refusals.values().next().value;
  };
  /** One at a time: what a round decided must not be undone by one that decided before it. */
  const inTurn = (scope: Scope): Promise<StackError | undefined> => {
    const mine = turn.then(
      () => round(scope),
      () => round(scope),
    );
    turn = mine;
    return mine;
  };
  const write = async (live: AbortSignal, written: () => void): Promise<void> => {
    changed.markAll();
    for (;;) {
      const scope = await changed.take(live);
      if (scope === undefined) return;
      const refusal = await inTurn(scope);
      if (refusal !== undefined) failed.put(refusal);
      written();
      options.healthy();
    }
  };
  const retry = async (live: AbortSignal): Promise<void> => {
    const refusal = refused.size === 0 ? undefined : await inTurn(new Set(refused.keys()));
    const error = refusal ?? (await failed.take(live));
    if (error !== undefined) throw error;
  };
  await Promise.all([
    keepAlive(write, { clock, random, signal, onTransition }),
    keepAlive(retry, { clock, random, signal }),
  ]);
}

/** After a round that looked at `keys`. */
function note(
  refusals: ReadonlyMap<string, StackError>,
  keys: Iterable<string>,
  { refused, events }: Pick<FollowOptions, "refused" | "events">,
): void {
  for (const key of [...keys]) if (!refusals.has(key)) refused.delete(key);
  for (const [key, error] of refusals) {
    const reason = describeError(error);
    if (refused.get(key) !== reason) events.publish("instance.refused", { ...entryPlace(key), reason });
    refused.set(key, reason);
  }
}
