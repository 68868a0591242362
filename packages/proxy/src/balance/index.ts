import type { BalanceName } from "../snapshot.ts";
import type { Balance } from "./balance.ts";
import { ewma } from "./ewma.ts";
import { first } from "./first.ts";
import { leastConn } from "./least-conn.ts";
import { twoChoices } from "./random.ts";
import { ring } from "./ring.ts";
import { roundRobin } from "./round-robin.ts";

/** Every algorithm, by its name in configuration: sorted, one line each. A new one is a file beside this one and a line here. */
export const BALANCERS: Readonly<Record<BalanceName, Balance>> = {
  cookie: ring,
  ewma,
  first,
  header: ring,
  least_conn: leastConn,
  random: twoChoices,
  round_robin: roundRobin,
  source: ring,
  uri: ring,
};
