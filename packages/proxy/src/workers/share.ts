/** Below this many clients a worker takes whatever comes: passing one on costs more than it would gain. */
const CLIENTS_MIN = 8;

/**
 * Workers accept on one socket, and whoever wakes first takes all that waits there. May a worker with this many clients
 * keep one more, when its share of all clients was `share` a moment ago? A quarter above the share is no imbalance yet.
 */
export function keepsClient(clients: number, share: number): boolean {
  return clients < Math.max(CLIENTS_MIN, Math.ceil(share * 1.25));
}

/** The index of the worker with the fewest clients; undefined when there is none. */
export function fewestClients(clients: readonly number[]): number | undefined {
  let fewest: number | undefined;
  for (const [index, count] of clients.entries()) {
    if (fewest === undefined || count < (clients[fewest] as number)) fewest = index;
  }
  return fewest;
}
