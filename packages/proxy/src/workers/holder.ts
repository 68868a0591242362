import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { StackError } from "@smartstack/core";
import { listenKey, withoutStale } from "../bind.ts";
import { boundHandle, type StreamHandle } from "../handles.ts";
import type { ListenAddress, ServiceSpec } from "../snapshot.ts";

/**
 * The listening sockets that workers share. They stay open here whatever becomes of the workers, so that clients who
 * connect while none is there wait in the kernel's queue instead of being refused.
 */
export interface Holder {
  /** Binds it, or gives what is bound under this key (see `listenKey`). @throws the system's error when the address cannot be bound; the next call tries again. */
  hold(key: string, address: ListenAddress): Promise<StreamHandle>;
  /** Lets go of what these services do not listen on. */
  keepOnly(services: Iterable<ServiceSpec>): void;
  closeAll(): void;
}

export function createHolder(): Holder {
  const held = new Map<string, Promise<StreamHandle>>();
  let wanted: ReadonlySet<string> = new Set();

  function letGo(key: string): void {
    held.get(key)?.then(
      (handle) => handle.close(() => undefined),
      // It was never bound, and whoever asked for it was told.
      () => undefined,
    );
    held.delete(key);
  }

  return {
    hold(key, address) {
      const present = held.get(key);
      if (present !== undefined) return present;
      // A worker may ask for what it has not heard yet that nobody wants any more.
      if (!wanted.has(key)) return Promise.reject(new Error(`nobody listens on ${key} any more`));
      const made = withoutStale(address, () => bindHandle(address));
      held.set(key, made);
      made.catch(() => {
        if (held.get(key) === made) held.delete(key);
      });
      return made;
    },
    keepOnly(services) {
      const keys = new Set<string>();
      for (const { name, listen } of services) for (const address of listen) keys.add(listenKey(name, address));
      wanted = keys;
      for (const key of [...held.keys()]) if (!wanted.has(key)) letGo(key);
    },
    closeAll() {
      wanted = new Set();
      for (const key of [...held.keys()]) letGo(key);
    },
  };
}

async function bindHandle(address: ListenAddress): Promise<StreamHandle> {
  const handle = boundHandle(await withIp(address));
  if (handle !== undefined) return handle;
  throw new StackError(
    "INTERNAL",
    "workers need socket handles, which this Node does not have; leave workers out of the configuration",
    {
      side: "self",
      retry: "never",
    },
  );
}

async function withIp(address: ListenAddress): Promise<ListenAddress> {
  if ("path" in address || isIP(address.host) !== 0) return address;
  return { ...address, host: (await lookup(address.host)).address };
}
