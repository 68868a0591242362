import { type ProbeKind, probeSocket } from "./kind.ts";

/** A connection that is dropped this soon was accepted by a middleman (docker-proxy) with nobody behind it. */
const ALIVE_MS = 50;

/** A connect that lives. */
export const tcp: ProbeKind = (probing) => {
  const { clock, finish, failed, onEnd } = probing;
  const socket = probeSocket(probing);
  onEnd(() => socket.destroy());
  socket.on("connect", () => {
    onEnd(clock.after(ALIVE_MS, () => finish(true, "connected"), { background: true }));
  });
  socket.on("data", () => finish(true, "answered"));
  socket.on("error", failed);
  socket.on("close", () => finish(false, "closed without an answer"));
};
