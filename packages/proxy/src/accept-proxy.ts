import type { Opening } from "./opening.ts";
import { type ProxyHeaderRead, readProxyHeader } from "./proxy-protocol/read.ts";
import type { Client, Service, Surroundings } from "./service.ts";
import { createTimeout } from "./timer-wheel.ts";
import { NOBODY, type Wire } from "./wire.ts";

/**
 * Reads the PROXY protocol header a connection must begin with, then hands it on. One that begins otherwise, or takes
 * longer than the head of a request may, is closed without a word: who sent it is not known.
 */
export function acceptProxy(
  wire: Wire,
  service: Service,
  surroundings: Surroundings,
  serve: (opening: Opening) => void,
): void {
  const { wheel } = surroundings;
  let read = Buffer.alloc(0);
  const refuse = (): void => {
    service.counters.refused++;
    wire.destroy();
  };
  const timeout = createTimeout(refuse);
  const client: Client = { isBusy: () => false, destroy: () => wire.destroy() };
  const leave = (): void => {
    wheel.disarm(timeout);
    service.clients.delete(client);
  };
  const decide = (header: ProxyHeaderRead): void => {
    if (header === "more") return;
    if ("problem" in header) {
      refuse();
      return;
    }
    leave();
    wire.pause();
    wire.owner = NOBODY;
    const early = read.length > header.length ? read.subarray(header.length) : undefined;
    serve({ ends: header.ends, early });
  };
  service.clients.add(client);
  wheel.arm(timeout, service.spec.timeouts.clientHeadMs);
  wire.owner = {
    ...NOBODY,
    wireData(bytes) {
      read = Buffer.concat([read, bytes]);
      decide(readProxyHeader(read));
    },
    wireEnded: refuse,
    wireClosed: leave,
  };
  wire.resume();
}
