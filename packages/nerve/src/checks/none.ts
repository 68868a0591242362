import type { CheckKind } from "./check.ts";

/** No check: it is up as long as it is there. */
export const none: CheckKind = {
  active: false,
  inConfig: true,
  keys: {},
  probe: () => Promise.resolve({ passed: true, reason: "not checked" }),
};
