import { constants } from "node:os";

export const SIGTERM = 15;
export const SIGKILL = 9;
/** Linux' first real-time signal as the C library counts it; Docker writes SIGRTMIN+n. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/**
 * The number of a signal as Docker writes it: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`. Docker stops with SIGTERM where
 * none is set, and an unknown name is treated the same.
 */
export function signalNumber(text: string | undefined): number {
  const name = (text ?? "").trim().toUpperCase();
  if (/^\d+$/.test(name)) return Number(name);
  const realTime = /^(?:SIG)?(RTMIN|RTMAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
    return (realTime[1] === "RTMIN" ? SIGRTMIN : SIGRTMAX) + offset;
  }
  const known: Readonly<Record<string, number>> = constants.signals;
  return known[name.startsWith("SIG") ? name : `SIG${name}`] ?? SIGTERM;
}
