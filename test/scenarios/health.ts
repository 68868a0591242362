import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { scenario } from "./support/scene.ts";
import type { Stage } from "./support/stage.ts";

const WELL = { command: "test -e /tmp/well", interval: "500ms", retries: 1 };

/** Group D: health. */
export function health(stage: () => Stage): void {
  describe("D", () => {
    scenario(stage, "D1 HEALTHCHECK: nothing while it starts, announced when it is healthy", async (scene) => {
      const id = await scene.web({ health: { ...WELL, startPeriod: "1m" } });
      await until(async () => (await scene.status(id))?.registrations[0]?.health === "starting", { what: "starting" });
      expect(scene.writes(id)).toEqual([]);
      await scene.adds(id, () => scene.engine.docker("exec", id, "touch", "/tmp/well"));
    });

    scenario(stage, "D2 HEALTHCHECK: unhealthy withdraws, recovery announces", async (scene) => {
      const id = await scene.web({ health: WELL });
      await scene.adds(id, () => scene.engine.docker("exec", id, "touch", "/tmp/well"));
      await scene.removes(id, () => scene.engine.docker("exec", id, "rm", "/tmp/well"));
      await scene.adds(id, () => scene.engine.docker("exec", id, "touch", "/tmp/well"));
    });

    scenario(stage, "D3 a closed port is never announced", async (scene) => {
      const id = await scene.web({ command: ["sleep", "60"] });
      await until(async () => (await scene.status(id))?.registrations[0]?.health === "down", { what: "down" });
      expect((await scene.status(id))?.registrations[0]?.reason).toMatch(/ECONNREFUSED/);
      expect(scene.writes(id)).toEqual([]);
    });

    scenario(stage, "D3 rise 2 and fall 3 are counted exactly", async (scene) => {
      const probes: { readonly status: number; readonly atMs: number }[] = [];
      const script = [503, 200, 503, 200, 200, 503, 503, 200, 503, 503, 503];
      // The probe behind one that decides is answered when the decision was written, however long that takes here.
      const writesBefore = new Map([
        [5, 1],
        [11, 2],
      ]);
      const backend = await serve(async (response) => {
        const status = script[probes.length] ?? 503;
        const writes = writesBefore.get(probes.length) ?? 0;
        await until(() => scene.writes(scene.service).length >= writes, { what: `write ${writes}` });
        probes.push({ status, atMs: Date.now() });
        response.writeHead(status).end();
      });
      try {
        const checks = [{ type: "http", uri: "/", timeout: "15s", rise: 2, fall: 3 }];
        const service = { host: "127.0.0.1", port: backend.port, check_interval: "800ms", checks };
        await scene.nerve(false, { instance_id: scene.service, services: { [scene.service]: service } });
        await until(() => probes.length > script.length, { what: "the script is over", timeoutMs: 20_000 });
        await until(() => scene.entries().length === 0, { what: "down in the end" });
        const [up, down, ...more] = scene.writes(scene.service);
        expect(more).toEqual([]);
        expect(up?.document).toBeDefined();
        expect(down?.document).toBeUndefined();
        // Written between the probe that decides and the one after it.
        expect(probes.filter(({ atMs }) => atMs < (up?.atMs ?? 0))).toHaveLength(5);
        expect(probes.filter(({ atMs }) => atMs < (down?.atMs ?? 0))).toHaveLength(11);
      } finally {
        await backend.close();
      }
    });

    scenario(stage, "D4 a check on another port than the service's, by label", async (scene) => {
      // Port 80 has no such page.
      const serve = "echo fine >/tmp/page; busybox httpd -f -p 80 & exec busybox httpd -f -p 8081 -h /tmp";
      const check = (port: string): Record<string, string> => ({ "smartstack.check": `http:${port}/page` });
      const command = ["sh", "-c", serve];
      const id = await scene.web({ command, labels: check("8081") });
      expect(await scene.added(id)).toMatchObject({ mode: "http" });
      const amiss = await scene.web({ command, labels: check("80") });
      await until(async () => /status 404/.test((await scene.status(amiss))?.registrations[0]?.reason ?? ""), {
        what: "the reason",
      });
      expect(scene.writes(amiss)).toEqual([]);
    });

    scenario(stage, "D4 a check with a Host header and an expected status", async (scene) => {
      const backend = await serve((response, path, host) => {
        response.writeHead(path === "/away" ? 302 : host === "shop.example" ? 204 : 200).end();
      });
      scene.closes(() => backend.close());
      const headers = { Host: "shop.example" };
      const cases: Record<string, object> = {
        both: { path: "/", headers, status: 204 },
        range: { path: "/", headers, status: ["200", "202-204"] },
        nobody: { path: "/", status: 204 },
        moved: { path: "/away", headers, status: "200-299" },
      };
      const name = (what: string): string => `${scene.service}-${what}`;
      const entries = Object.entries(cases).map(([what, check]) => {
        const checks = [{ type: "http", ...check }];
        return [name(what), { host: "127.0.0.1", port: backend.port, check_interval: "200ms", checks }];
      });
      const nerve = await scene.nerve(false, { services: Object.fromEntries(entries) });
      await Promise.all([scene.offered(1, name("both")), scene.offered(1, name("range"))]);
      const reason = async (what: string): Promise<string | undefined> =>
        (await scene.status(name(what), nerve))?.registrations[0]?.reason;
      await until(async () => /status 200/.test((await reason("nobody")) ?? ""), { what: "the wrong status" });
      await until(async () => /status 302/.test((await reason("moved")) ?? ""), { what: "the redirect's status" });
      expect([...scene.writes(name("nobody")), ...scene.writes(name("moved"))]).toEqual([]);
    });

    scenario(
      stage,
      "D4 checks of their own: 204 passes, a redirect is not followed, one that hangs delays nobody",
      async (scene) => {
        const followed: string[] = [];
        const backend = await serve((response, path) => {
          if (path === "/none") response.writeHead(204).end();
          else if (path === "/away") response.writeHead(302, { location: "/target" }).end();
          else if (path !== "/hang") followed.push(path);
        });
        const target = await serve((response) => {
          response.writeHead(200).end();
        });
        try {
          const name = (what: string | number): string => `${scene.service}-${what}`;
          const check = (uri: string, rest: object = {}): object => ({
            host: "127.0.0.1",
            port: backend.port,
            check_interval: "1s",
            checks: [{ type: "http", uri, timeout: "4s", ...rest }],
          });
          const services: Record<string, object> = {
            [name("hang")]: check("/hang"),
            [name("away")]: check("/away"),
            [name("elsewhere")]: check("/hang", { port: target.port }),
          };
          for (let count = 0; count < 9; count++) services[name(count)] = check("/none");
          const nerve = await scene.nerve(false, { services });
          const all = [...Array(9).keys(), "away", "elsewhere"].map(name);
          await Promise.all(all.map((service) => scene.offered(1, service)));
          const first = Math.min(...all.map((service) => scene.writes(service)[0]?.atMs ?? Number.NaN));
          const last = Math.max(...all.map((service) => scene.writes(service)[0]?.atMs ?? Number.NaN));
          // Less than what the hanging one takes.
          expect(last - first - scene.stage.pauses.stoodStillMs(first)).toBeLessThan(3_000);
          const hanging = async (): Promise<string | undefined> =>
            (await nerve.containers())
              .flatMap(({ registrations }) => registrations)
              .find(({ service }) => service === name("hang"))?.reason;
          await until(async () => /no answer within 4000 ms/.test((await hanging()) ?? ""), { what: "its reason" });
          expect(scene.writes(name("hang"))).toEqual([]);
          expect(followed).toEqual([]);
        } finally {
          await backend.close();
          await target.close();
        }
      },
    );
  });
}

async function serve(
  answer: (response: ServerResponse, path: string, host: string | undefined) => void | Promise<void>,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    Promise.resolve(answer(response, request.url ?? "/", request.headers.host)).catch((error: unknown) =>
      response.destroy(error as Error),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
