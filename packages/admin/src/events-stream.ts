import type { ServerResponse } from "node:http";
import { type Cancel, type Clock, type EventBus, every, type StackEvent } from "@smartstack/core";
import { Refused } from "./answer.ts";

const CLIENTS_MAX = 32;
/** What may wait for one client; one that reads slower is cut off, and sees it. */
const BACKLOG_BYTES_MAX = 256 * 1024;
const HEARTBEAT_MS = 15_000;

/** The events as Server-Sent Events, from the moment a client asks. */
export interface EventsStream {
  /** @throws Refused 503 when too many listen already. */
  serve(response: ServerResponse): void;
  close(): void;
}

export function eventsStream(events: EventBus, clock: Clock): EventsStream {
  const clients = new Set<ServerResponse>();
  let heartbeat: Cancel | undefined;
  let unsubscribe: (() => void) | undefined;

  function broadcast(text: string): void {
    for (const client of clients) {
      if (client.writableLength > BACKLOG_BYTES_MAX) client.destroy();
      else client.write(text);
    }
  }

  function frame(event: StackEvent): string {
    return `event: ${event.name}\ndata: ${JSON.stringify({ at: clock.now(), ...event })}\n\n`;
  }

  function leave(client: ServerResponse): void {
    clients.delete(client);
    if (clients.size > 0) return;
    unsubscribe?.();
    heartbeat?.();
  }

  return {
    serve(response) {
      if (clients.size >= CLIENTS_MAX) throw new Refused(503, `${CLIENTS_MAX} clients listen already`);
      if (clients.size === 0) {
        unsubscribe = events.subscribe((event) => broadcast(frame(event)));
        heartbeat = every(clock, HEARTBEAT_MS, () => broadcast(":\n\n"));
      }
      clients.add(response);
      response.on("close", () => leave(response));
      response.on("error", () => leave(response));
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(":\n\n");
    },
    close() {
      for (const client of clients) client.end();
    },
  };
}
