import type { Ends } from "./ends.ts";

/** What is known of a client's connection before its protocol begins. */
export interface Opening {
  /** Who a PROXY protocol header says connected to whom; undefined: the connection itself knows. */
  readonly ends: Ends | undefined;
  /** Bytes that came behind that header, in memory of their own. */
  readonly early: Buffer | undefined;
}

/** A connection that was handed on as it came. */
export const PLAIN: Opening = { ends: undefined, early: undefined };
