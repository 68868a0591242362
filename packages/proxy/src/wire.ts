import type { Ends } from "./ends.ts";
import type { Receiver } from "./stage.ts";

/** Whoever uses a connection. Called from its events, each of which is one event of the stage. */
export interface WireOwner {
  /** The bytes lie in memory that the next event of any connection overwrites: what must stay is copied. */
  wireData(bytes: Buffer): void;
  /** The other end will send no more. */
  wireEnded(): void;
  /** All that was written has left this process, after `needsDrain` was true. */
  wireDrained(): void;
  /** It is gone, with the error that ended it, if one did. Always the last call. */
  wireClosed(error: NodeJS.ErrnoException | undefined): void;
}

/**
 * One stream connection of the data path, half-open capable. It closes itself once both ends have ended. Reading begins
 * with the first `resume`; bytes are written to it through the stage.
 */
export interface Wire extends Receiver {
  owner: WireOwner;
  /** Called once it is gone, whoever owns it then; of accepted connections only. */
  onGone: (() => void) | undefined;
  readonly destroyed: boolean;
  /** Neither ended by us nor destroyed. */
  readonly writable: boolean;
  /** Bytes wait for the other end to take them: whoever produces more should pause. */
  readonly needsDrain: boolean;
  /** Bytes given to it so far. */
  readonly written: number;
  /** The other end's IP address; undefined for a unix socket. */
  peer(): string | undefined;
  /** Who connected to whom, for a connection that was accepted; undefined for a unix socket. */
  ends(): Ends | undefined;
  pause(): void;
  resume(): void;
  /** Sends what is staged, then our end; `done` when it has left this process. */
  end(done?: () => void): void;
  /** Writes nothing: an error that hides behind the other end's end comes out and closes it; else `clean` is called. */
  probe(clean: () => void): void;
  /** Closes at once, dropping what is staged. */
  destroy(error?: NodeJS.ErrnoException): void;
  /** Closes so that the other end sees a reset, where the kind of connection knows one. */
  reset(): void;
}

/** How a connection to a backend is told of. */
export interface Connecting {
  readonly owner: WireOwner;
  readonly connected: () => void;
  /** It is gone; called before the owner is told. */
  readonly closed: (error: NodeJS.ErrnoException | undefined) => void;
}

/** Bytes that may be written to a connection before it stands, until `needsDrain` asks for a pause. */
export const CONNECTING_BYTES = 16 * 1024;

/** Owner of a connection nobody has taken up yet: it is paused, so that there is nothing to hear but its end. */
export const NOBODY: WireOwner = {
  wireData: () => undefined,
  wireEnded: () => undefined,
  wireDrained: () => undefined,
  wireClosed: () => undefined,
};
