import { describe, expect, it } from "vitest";
import type { Changes, Held } from "../contents.ts";
import { LAYOUTS, type LayoutName } from "./index.ts";
import { translating } from "./translate.ts";

function shownBy(name: LayoutName, all: Record<string, string>) {
  const seen: Record<string, unknown>[] = [];
  const note = (changes: Changes): void => {
    seen.push(Object.fromEntries([...changes].map(([path, held]) => [path, held === undefined ? null : parsed(held)])));
  };
  const sink = translating(LAYOUTS[name], { reset: note, apply: note });
  sink.reset(new Map(Object.entries(all).map(([path, text]) => [path, { text }])));
  const change = (path: string, text: string | undefined): void =>
    sink.apply(new Map([[path, text === undefined ? undefined : { text }]]));
  return { seen, change };
}

function parsed({ text }: Held): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

describe("F12 the layout of docker-register", () => {
  it("gives each instance the port that lies beside them, and all of them a changed one", () => {
    const { seen, change } = shownBy("docker-register", {
      "whoami/0123456789ab": "10.0.0.7:32768",
      "whoami/port": "8000",
      "jwilder/whoami/0123456789ab": "10.0.0.7:1",
    });
    const one = { host: "10.0.0.7", port: 32_768, name: "0123456789ab", v: 1 };
    expect(seen[0]).toEqual({ "whoami/0123456789ab": { ...one, listen: 8_000 } });
    change("whoami/port", "9000");
    expect(seen[1]).toEqual({ "whoami/0123456789ab": { ...one, listen: 9_000 } });
    change("whoami/port", undefined);
    expect(seen[2]).toEqual({ "whoami/0123456789ab": one });
    change("whoami/0123456789ab", "nonsense");
    expect(seen[3], "for readers to count").toEqual({ "whoami/0123456789ab": "nonsense" });
    change("whoami/0123456789ab", undefined);
    expect(seen[4]).toEqual({ "whoami/0123456789ab": null });
    change("elsewhere", "x");
    expect(seen).toHaveLength(5);
  });
});

describe("F12 the layout of registrator", () => {
  it("reads addresses of both kinds, and tells UDP by the name", () => {
    const { seen } = shownBy("registrator", {
      "web/host1:web.0:80": "10.0.0.7:32768",
      "web/host2:web.0:80": "[fd00::7]:80",
      "dns/host1:dns.0:53:udp": "10.0.0.7:53",
    });
    const shown = Object.entries(seen[0] ?? {});
    expect(shown.map(([, document]) => document)).toEqual([
      { host: "10.0.0.7", port: 32_768, name: "host1:web.0:80", v: 1 },
      { host: "fd00::7", port: 80, name: "host2:web.0:80", v: 1 },
      { host: "10.0.0.7", port: 53, name: "host1:dns.0:53:udp", protocol: "udp", v: 1 },
    ]);
    for (const [path] of shown) expect(path).toMatch(/^(web|dns)\/host\d_\w+\.0_\d+(_udp)?-[0-9a-f]{8}$/);
  });
});

it("passes on an address whose document would be too long, as one that cannot be read, and goes on", () => {
  const host = "a".repeat(20_000);
  for (const name of ["docker-register", "registrator"] as const) {
    const { seen, change } = shownBy(name, { "web/one": "10.0.0.7:80" });
    change("web/two", `${host}:80`);
    expect(Object.values(seen[1] ?? {}), "for readers to count").toEqual([`${host}:80`]);
    change("web/two", "10.0.0.8:80");
    expect(seen[2]).toMatchObject({ "web/two": { host: "10.0.0.8" } });
  }
});

describe("F12 the layout of nerve", () => {
  it("passes its documents on, from both depths of path", () => {
    const { seen } = shownBy("nerve", {
      "web/services/i-1/00000000000000000005": '{"host":"10.0.0.7","port":80,"name":"i-1"}',
      "db/i-1/00000000000000000006": '{"host":"10.0.0.7","port":"5432"}',
      "web/services": "a folder",
    });
    expect(seen[0]).toEqual({
      "web/i-1_00000000000000000005": { host: "10.0.0.7", port: 80, name: "i-1" },
      "db/i-1_00000000000000000006": { host: "10.0.0.7", port: "5432" },
    });
  });
});
