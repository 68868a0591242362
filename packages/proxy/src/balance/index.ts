import type { BalanceName } from "../snapshot.ts";
import type { Balance } from "./balance.ts";
import { leastConn } from "./least-conn.ts";
import { roundRobin } from "./round-robin.ts";

/** Every algorithm, by its name in configuration: sorted, one line each. A new one is a file beside this one and a line here. */
export const BALANCERS: Readonly<Record<BalanceName, Balance>> = {
  least_conn: leastConn,
  round_robin: roundRobin,
};
