import { connect } from "node:net";

/** A long-lived TCP connection to the test web server's echo: numbered lines, each wanted back in order. */
export interface SequenceStream {
  /** By performance.now(). */
  readonly startedMs: number;
  /** The backend's id, once it said it. */
  backend(): string | undefined;
  /** Lines that came back. */
  count(): number;
  /** Why it is over, unless it was stopped: closed, reset, or a line out of order. */
  failure(): string | undefined;
  stop(): void;
}

export function startSequenceStream(port: number, pauseMs: number): SequenceStream {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  let backend: string | undefined;
  let next = 0;
  let failure: string | undefined;
  let stopped = false;
  let rest = "";
  let timer: NodeJS.Timeout | undefined;
  const end = (why: string): void => {
    if (!stopped) failure ??= `${why} after ${next} lines`;
    clearTimeout(timer);
    socket.destroy();
  };
  const send = (): void => void socket.write(`${next}\n`);
  const hear = (line: string): void => {
    if (backend === undefined) backend = line;
    else if (line === String(next)) next++;
    else end(`${line} came instead of ${next}`);
    if (failure === undefined) timer = setTimeout(send, pauseMs);
  };
  socket.on("data", (bytes) => {
    const lines = (rest + bytes.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) hear(line);
  });
  socket.on("error", (error) => end(error.message));
  socket.on("close", () => end("closed"));
  return {
    startedMs: performance.now(),
    backend: () => backend,
    count: () => next,
    failure: () => failure,
    stop() {
      stopped = true;
      end("stopped");
    },
  };
}
