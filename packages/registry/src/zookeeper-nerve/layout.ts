import { serviceNameProblem } from "@smartstack/core";
import { splitChroot } from "../config.ts";
import { SERVICE, type ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";

/** Which paths belong to which services. */
export interface Layout {
  /** Where a service's nodes lie. */
  folderOf(service: string): string;
  /** What a service is called in the copy of the registry: a path without {service} is all there is. */
  keyOf(service: string): string;
  /** The node whose children are services; absent when there is one folder only. */
  readonly root?: string;
}

/** The one folder's name in the copy. */
export const ONLY = "only";

export function layoutOf({ hosts, path }: ZooKeeperNerveConfig): Layout {
  const full = `${splitChroot(hosts).chroot}${path}`;
  const at = full.indexOf(`/${SERVICE}`);
  if (at < 0) return { folderOf: () => full, keyOf: () => ONLY };
  return {
    root: full.slice(0, at) || "/",
    folderOf: (service) => full.replace(SERVICE, service),
    keyOf: (service) => service,
  };
}

/** Of a root's children, those that can be services. */
export function servicesAmong(names: readonly string[]): string[] {
  return names.filter((name) => serviceNameProblem(name) === undefined);
}
