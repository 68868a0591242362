import { createServer } from "node:net";

/**
 * Below what the kernel hands out by itself (32768 and up): no client's connection and no listener on port 0 can take one
 * between its being found free and its being bound, nor while its server is down. Test processes that run at the same
 * time draw from parts of their own, and each from a place of its own, as another run may be on the machine.
 */
const FIRST = 10_000;
const PART = 2_000;
const PARTS = 11;

const first = FIRST + (Number(process.env.VITEST_POOL_ID ?? process.pid) % PARTS) * PART;
let next = Math.floor(Math.random() * PART);

/** Ports that were free a moment ago, none of them given out before. */
export async function freePorts(count: number, host = "127.0.0.1"): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > PART) throw new Error(`no ${count} free ports on ${host} between ${first} and ${first + PART - 1}`);
    const port = first + (next++ % PART);
    if (await isFree(port, host)) ports.push(port);
  }
  return ports;
}

/** One port that was free a moment ago. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const [port] = await freePorts(1, host);
  return port as number;
}

function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(false);
      else reject(error);
    });
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
