import { existsSync } from "node:fs";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { type Cancel, type Clock, every } from "@smartstack/core";

const LOOK_MS = 2_000;

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

export function inContainer(): boolean {
  return existsSync("/.dockerenv") || existsSync("/run/.containerenv");
}

export function hasOutsideInterface(interfaces: Interfaces): boolean {
  return Object.values(interfaces).some((addresses) => addresses?.some((address) => !address.internal) ?? false);
}

/**
 * Calls `onGone` once when a network namespace that had an interface besides loopback has none left: the container
 * whose namespace this process shares was stopped, and only a restart can join a new one.
 */
export function watchNamespace(
  clock: Clock,
  onGone: () => void,
  interfaces: () => Interfaces = networkInterfaces,
): Cancel {
  let had = look(interfaces) === true;
  const stop = every(clock, LOOK_MS, () => {
    const has = look(interfaces);
    if (has === undefined) return;
    if (had && !has) {
      stop();
      onGone();
    }
    had ||= has;
  });
  return stop;
}

/** Undefined when nothing can be seen now, as when the process has no file descriptor left: no reason to end it. */
function look(interfaces: () => Interfaces): boolean | undefined {
  try {
    return hasOutsideInterface(interfaces());
  } catch {
    return undefined;
  }
}
