import { afterEach, describe, expect, it, vi } from "vitest";
import { eventBus, type StackEvent } from "./events.ts";

describe("eventBus", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("tells every subscriber until it unsubscribes", () => {
    const bus = eventBus();
    const seen: StackEvent[] = [];
    const leave = bus.subscribe((event) => seen.push(event));
    bus.publish("service.discovered", { service: "web" });
    leave();
    bus.publish("service.discovered", { service: "api" });
    expect(seen).toEqual([{ name: "service.discovered", data: { service: "web" } }]);
  });

  it("keeps a subscriber that throws from the publisher and from the others", () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const bus = eventBus();
    let reached = 0;
    bus.subscribe(() => {
      throw new Error("mine");
    });
    bus.subscribe(() => reached++);
    bus.publish("service.discovered", { service: "web" });
    expect(reached).toBe(1);
    expect(warned).toHaveBeenCalledWith(expect.stringContaining("mine"));
  });
});
