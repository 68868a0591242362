import type { ListenerStatus } from "@smartstack/core";
import { listenKey, listenText } from "./bind.ts";
import type { Listener } from "./listener.ts";
import type { Service } from "./service.ts";
import type { ListenAddress } from "./snapshot.ts";

/** A bound address and the service it serves now; the service may change without the socket being touched. */
export interface Claim {
  service: Service;
  readonly listener: Listener;
}

/** Which service has which address. */
export interface Claims {
  /** Brings the listeners in line with what the services ask for. */
  update(services: Iterable<Service>): void;
  statusOf(service: Service): readonly ListenerStatus[];
  /** The listener under this key, see `listenKey`. */
  listener(key: string): Listener | undefined;
  settled(): Promise<void>;
  closeAll(): void;
}

export function createClaims(open: (address: ListenAddress, service: Service) => Claim): Claims {
  const claims = new Map<string, Claim>();
  return {
    // What is no longer wanted is let go first, so that an address can move between services within one snapshot. One
    // that two services want stays with its holder, else goes to the first.
    update(services) {
      const wanted = wantedAddresses(services);
      for (const [key, claim] of [...claims]) {
        if (wanted.has(key)) continue;
        claim.listener.close();
        claims.delete(key);
      }
      for (const [key, { address, takers }] of wanted) {
        const first = takers[0] as Service;
        const claim = claims.get(key);
        if (claim === undefined) claims.set(key, open(address, first));
        else if (!takers.includes(claim.service)) claim.service = first;
      }
    },
    statusOf: (service) =>
      service.spec.listen.map((address) => {
        const claim = claims.get(listenKey(service.spec.name, address));
        if (claim === undefined) return { address: listenText(address), state: "pending", reason: "closed" };
        if (claim.service === service) return claim.listener.status();
        const reason = `service ${claim.service.spec.name} listens there`;
        return { address: listenText(address), state: "failed", reason };
      }),
    listener: (key) => claims.get(key)?.listener,
    async settled() {
      await Promise.all([...claims.values()].map((claim) => claim.listener.settled));
    },
    closeAll() {
      for (const claim of claims.values()) claim.listener.close();
      claims.clear();
    },
  };
}

interface Wanted {
  readonly address: ListenAddress;
  readonly takers: Service[];
}

function wantedAddresses(services: Iterable<Service>): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const service of services) {
    for (const address of service.spec.listen) {
      const key = listenKey(service.spec.name, address);
      const entry = wanted.get(key) ?? { address, takers: [] };
      entry.takers.push(service);
      wanted.set(key, entry);
    }
  }
  return wanted;
}
