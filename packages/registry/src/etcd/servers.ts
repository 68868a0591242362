import { type Clock, type Random, withDeadline } from "@smartstack/core";
import { CALL_MS_MAX } from "../driver.ts";
import type { EtcdConfig } from "../etcd.ts";
import { readAccess } from "./access.ts";
import { type EtcdClient, etcdClient } from "./client.ts";

/** The servers of one cluster, of which all connections of a driver use one until it fails. */
export interface Servers {
  /** @throws StackError CONFIG_INVALID for a file that cannot be read. */
  connect(): Promise<EtcdClient>;
  /** This connection's server failed: the next connections go to the next one. Said twice of one server, it counts once. */
  blame(client: EtcdClient): void;
}

/** Begins with any of them, so that a fleet spreads over the cluster. */
export function servers(
  config: Pick<EtcdConfig, "hosts" | "tls" | "auth">,
  deps: { readonly clock: Clock; readonly random: Random },
): Servers {
  const { clock, random } = deps;
  const { hosts } = config;
  let turn = Math.floor(random() * hosts.length);
  const host = (): string => hosts[turn % hosts.length] ?? "";
  return {
    async connect() {
      const access = await withDeadline(readAccess(config), {
        clock,
        ms: CALL_MS_MAX,
        what: "reading the files of registry.tls and registry.auth",
        side: "config",
      });
      return etcdClient(host(), access, clock);
    },
    blame(client) {
      if (client.host === host()) turn++;
    },
  };
}
