import { cpuSeconds, peakBytes, residentBytes } from "../bench/measure.mjs";

/** What a process has used so far, by the kernel's own count. */
export interface Usage {
  /** User and system, in ms. */
  readonly cpuMs: number;
  /** Resident memory now and at its highest, in bytes. */
  readonly residentBytes: number;
  readonly peakBytes: number;
}

export function usageOf(pid: number): Usage {
  return { cpuMs: cpuSeconds(pid) * 1_000, residentBytes: residentBytes(pid), peakBytes: peakBytes(pid) };
}
