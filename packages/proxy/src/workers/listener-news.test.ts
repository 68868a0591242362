import { eventBus, type ListenerStatus } from "@smartstack/core";
import { expect, it } from "vitest";
import { listenerNews } from "./listener-news.ts";

it("tells each turn of a listener once", () => {
  const bus = eventBus();
  const told: string[] = [];
  bus.subscribe(({ name, data }) => told.push(`${name} ${"address" in data ? data.address : ""}`));
  const news = listenerNews(bus);
  const at = (port: number, state: ListenerStatus["state"], reason?: string): ListenerStatus => ({
    address: `127.0.0.1:${port}`,
    state,
    ...(reason === undefined ? {} : { reason }),
  });
  news.tell("web", [at(80, "pending")]);
  news.tell("web", [at(80, "failed", "in use")]);
  news.tell("web", [at(80, "failed", "in use")]);
  news.tell("web", [at(80, "bound"), at(81, "bound")]);
  news.tell("web", [at(80, "bound"), at(81, "bound")]);
  // One more worker that has only begun.
  news.tell("web", [at(80, "pending"), at(81, "pending")]);
  news.tell("web", [at(80, "bound"), at(81, "bound")]);
  news.tell("web", [at(81, "bound")]);
  news.tell("web", []);
  expect(told).toEqual([
    "listener.failed 127.0.0.1:80",
    "listener.bound 127.0.0.1:80",
    "listener.bound 127.0.0.1:81",
    "listener.closed 127.0.0.1:80",
    "listener.closed 127.0.0.1:81",
  ]);
});
