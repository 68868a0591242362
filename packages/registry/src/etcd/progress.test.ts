import type { IWatchResponse } from "etcd3";
import { describe, expect, it } from "vitest";
import { progressFrom } from "./progress.ts";

const response = (revision: number, more: Partial<IWatchResponse> = {}): IWatchResponse =>
  ({ header: { revision: String(revision) }, created: false, events: [], ...more }) as unknown as IWatchResponse;

function setUp(): { readonly progress: ReturnType<typeof progressFrom>; readonly proofs: string[] } {
  const proofs: string[] = [];
  return { progress: progressFrom({ revision: "10" }, (revision) => proofs.push(revision)), proofs };
}

/** A response that brings one event. */
function brings(progress: ReturnType<typeof progressFrom>, revision: number, header = revision): void {
  progress.isNews(String(revision));
  progress.heard(response(header, { events: [{}] as unknown as IWatchResponse["events"] }));
}

describe("the progress of a watch", () => {
  it("proves what a probe saw only once the watch has told that much", () => {
    const { progress, proofs } = setUp();
    progress.heard(response(30, { created: true }));
    expect(proofs, "what was listed").toEqual(["10"]);
    expect(progress.reaches("25")).toBe(false);
    brings(progress, 11);
    brings(progress, 24, 40);
    expect(proofs, "late news, and more may follow").toEqual(["10"]);
    brings(progress, 26);
    expect(proofs).toEqual(["10", "26"]);
    expect(progress.reaches("30")).toBe(false);
    progress.heard(response(31));
    expect(proofs).toEqual(["10", "26", "31"]);
    expect(progress.reaches("31")).toBe(true);
    expect(proofs).toHaveLength(4);
  });

  it("takes for news what came after the list, and never what is older than the last of it", () => {
    const { progress } = setUp();
    expect(["10", "10", "11", "11"].map((revision) => progress.isNews(revision))).toEqual([false, false, true, true]);
    expect(() => progress.isNews("9")).toThrow(/went back from 11 to 9/);
  });
});
