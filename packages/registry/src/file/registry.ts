import {
  type Cancel,
  type Clock,
  every,
  isStackError,
  type NodeEntry,
  type Registry,
  type StackError,
  sleep,
} from "@smartstack/core";
import { namesAnother } from "../claims.ts";
import { type Changes, type Held, nodePath } from "../contents.ts";
import type { RegistryDeps } from "../driver.ts";
import type { FileConfig } from "../file.ts";
import { link } from "../link.ts";
import { mirror } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import { assertNotTakenOver, type Holder, loseOnce, openSession, sessionLost } from "../session.ts";
import { takeOver, unclaimed, type Write } from "../take-over.ts";
import { type Disk, diskAt } from "./disk.ts";
import { type NodeFileHold, takeNodeFile } from "./node-file.ts";
import { scanner } from "./scan.ts";
import { fileSource } from "./source.ts";
import { cleanTemps, sweeper } from "./sweep.ts";

/** Longer than the readers' poll, so that each of them sees the instances go before the node entry does. */
export const WITHDRAWAL_SEEN_MS = 1_500;

const WRITES_MAX = 32;

/** The driver for a directory. */
export function fileRegistry(config: FileConfig, deps: RegistryDeps): Registry {
  const { clock, random, events } = deps;
  const { prefix: root, ttl } = config;
  const state = link(clock, "file", root);
  const tag = random().toString(36).slice(2, 10);
  const disk = diskAt(root, clock, tag);
  const open = new Set<() => void>();
  // Who only reads may not even write here.
  const onDead = sweeper(disk, () => open.size > 0, state.note);
  const source = fileSource({ root, disk, ttlMs: ttl, clock, onDead, onError: state.note, onProof: state.proved });
  let madeRoot = false;
  const copies = mirror(
    async (sink, signal) => {
      // Once only: a directory that vanished later is an outage, not an invitation.
      if (!madeRoot) await disk.makeRoot();
      madeRoot = true;
      await source(sink, signal);
    },
    state,
    rejecter(events),
    deps,
  );
  const announced = new Set<string>();

  return {
    type: "file",
    async announce(owner, restore, signal) {
      try {
        await disk.makeRoot();
        const copy = await copies.join(signal);
        assertNotTakenOver(owner, announced.has(owner.boot), await disk.read(nodePath(owner.node)));
        const snapshot = await scanner(disk)();
        const writes = takeOver(owner, unclaimed(restore, owner, copy), snapshot?.instances ?? [], undefined);
        const hold = await state.writing(claim(disk, owner, writes, clock));
        announced.add(owner.boot);
        state.up({ ttlMs: ttl });
        const written: Changes = new Map<string, Held>(writes.map(({ path, text }) => [path, { text }]));
        const lost = new AbortController();
        const stop = renewing(hold, ttl, deps, lost, () => open.delete(stop), state.note);
        open.add(stop);
        cleanTemps(disk).catch(state.note);
        const holder = fileHolder(disk, hold, owner, deps, stop);
        try {
          return openSession({ owner, copy, holder, written, lost, link: state, clock });
        } catch (error) {
          // The copy ended meanwhile, by close() perhaps: nothing may go on renewing.
          stop();
          throw error;
        }
      } catch (error) {
        state.down(error);
        throw error;
      }
    },
    watch: (service, signal) => copies.watch(service, signal),
    services: (signal) => copies.services(signal),
    status: () => state.status(),
    async close() {
      for (const stop of [...open]) stop();
      await copies.close();
    },
  };
}

/** Everything of this node under its boot, the node entry last. */
async function claim(disk: Disk, owner: NodeEntry, writes: readonly Write[], clock: Clock): Promise<NodeFileHold> {
  for (let from = 0; from < writes.length; from += WRITES_MAX)
    await Promise.all(writes.slice(from, from + WRITES_MAX).map(({ path, text }) => disk.write(path, text)));
  return takeNodeFile(disk, owner, clock);
}

/** Moves the counter three times in a ttl. Returns what stops that and lets go of the file. */
function renewing(
  hold: NodeFileHold,
  ttlMs: number,
  { clock }: RegistryDeps,
  lost: AbortController,
  stopped: () => void,
  note: (error: unknown) => void,
): Cancel {
  const cancel = every(clock, ttlMs / 3, () => {
    hold.renew().catch((error: unknown) => loseOnce(lost, lossFrom(error)));
  });
  let over = false;
  return () => {
    if (over) return;
    over = true;
    cancel();
    stopped();
    hold.release().catch(note);
  };
}

function fileHolder(disk: Disk, hold: NodeFileHold, owner: NodeEntry, { clock }: RegistryDeps, stop: Cancel): Holder {
  return {
    async write(path, text) {
      await hold.assertOurs();
      await disk.write(path, text);
    },
    async erase(path) {
      await hold.assertOurs();
      const text = await disk.read(path);
      if (text !== undefined && !namesAnother(owner, text)) await disk.remove(path);
    },
    verify: () => hold.assertOurs(),
    async withdraw(paths) {
      await hold.assertOurs();
      for (let from = 0; from < paths.length; from += WRITES_MAX) {
        await Promise.all(paths.slice(from, from + WRITES_MAX).map((path) => disk.remove(path)));
        // Whoever closed may have given up waiting, and another may hold the node.
        await hold.assertOurs();
      }
      await sleep(clock, WITHDRAWAL_SEEN_MS);
      await hold.assertOurs();
      await disk.remove(nodePath(owner.node));
    },
    renew: () => hold.renew(),
    stop,
  };
}

function lossFrom(error: unknown): StackError {
  if (isStackError(error) && error.code === "REGISTRY_FENCED") return error;
  return sessionLost("the node entry could not be renewed", error);
}
