import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { type Scene, scenario } from "./support/scene.ts";
import { registryConfig, type Stage } from "./support/stage.ts";

/** Labels that announce a container's own address in a network. */
const inNetwork = (network: string): Record<string, string> => ({
  "smartstack.address": "container",
  "smartstack.network": network,
  "smartstack.port": "80",
});

const serveOn = (port: number): string[] => ["busybox", "httpd", "-f", "-p", String(port)];

/** Group B: which address and port are announced. */
export function addresses(stage: () => Stage): void {
  describe("B", () => {
    networks(stage);
    attachments(stage);
    bindings(stage);
    ports(stage);
  });
}

/** A container that is attached to several networks before it starts. */
async function onNetworks(scene: Scene, names: readonly string[], labels: Record<string, string>): Promise<string> {
  const [first = "", ...others] = names;
  const { docker } = scene.engine;
  const { labels: common = {}, command = [] } = scene.options({ labels });
  const flags = Object.entries(common).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  const id = scene.own(await docker("create", "--network", first, ...flags, "smartstack-test/web", ...command));
  for (const name of others) await docker("network", "connect", name, id);
  await docker("start", id);
  return id;
}

function networks(stage: () => Stage): void {
  scenario(stage, "B1 two networks: one entry", async (scene) => {
    const names = [await scene.network(), await scene.network()];
    const id = await onNetworks(scene, names, inNetwork(names[1] ?? ""));
    await scene.added(id);
    expect(scene.entries()).toMatchObject([{ host: await scene.engine.address(id, names[1]), port: 80 }]);
  });

  scenario(stage, "B2 restarted on three networks: always the address in the one asked for", async (scene) => {
    const names = [await scene.network(), await scene.network(), await scene.network()];
    const id = await onNetworks(scene, names, inNetwork(names[1] ?? ""));
    await scene.added(id);
    for (let round = 0; round < 8; round++) {
      const { host } = await scene.adds(id, () => scene.engine.docker("restart", "--time", "0", id));
      expect(host).toBe(await scene.engine.address(id, names[1]));
    }
    const subnet = (host = ""): string => host.split(".").slice(0, 3).join(".");
    const announced = scene.writes(id).flatMap(({ document }) => document?.host ?? []);
    expect(new Set(announced.map(subnet)).size).toBe(1);
  });

  scenario(stage, "B3 the network's name, its name in the project, its id: all find it", async (scene) => {
    const name = await scene.network();
    const netId = await scene.engine.docker("network", "inspect", "--format", "{{.Id}}", name);
    const [project = "", short = ""] = name.split(/-(?=[^-]*$)/);
    await scene.engine.docker("network", "create", `${project}_${short}`);
    try {
      const byName = await onNetworks(scene, ["bridge", name], inNetwork(name));
      const byId = await onNetworks(scene, ["bridge", name], inNetwork(netId.slice(0, 12)));
      const byShort = await onNetworks(scene, ["bridge", `${project}_${short}`], {
        ...inNetwork(short),
        "com.docker.compose.project": project,
      });
      expect((await scene.added(byName)).host).toBe(await scene.engine.address(byName, name));
      expect((await scene.added(byId)).host).toBe(await scene.engine.address(byId, name));
      expect((await scene.added(byShort)).host).toBe(await scene.engine.address(byShort, `${project}_${short}`));
      await scene.engine.remove(byShort);
    } finally {
      await scene.engine.docker("network", "rm", `${project}_${short}`);
    }
  });

  scenario(stage, "B3 a network it is not on: refused, with the reason", async (scene) => {
    const id = await scene.web({ labels: inNetwork("nowhere") });
    await scene.refused(id, /not on network nowhere, but on bridge/);
  });

  scenario(
    stage,
    "B4 a network that nerve does not reach: refused, with the reason, before and after a restart",
    async (scene) => {
      // So long that nothing goes by itself.
      const registry = { ...registryConfig(scene.stage.registry, scene.stage.server.endpoint), ttl: "30s" };
      const nerve = await scene.nerve({}, { registry, on_stop: "keep" });
      const other = await scene.web({ private: true });
      await scene.added(other);
      const name = await scene.network("--subnet", "198.51.100.0/28");
      const id = await scene.web({ private: true, network: name, expose: [80], labels: inNetwork(name) });
      const reason = new RegExp(`nerve cannot reach network ${name}: use host network, attach it, or`);
      await scene.refused(id, reason, nerve);
      await nerve.kill("SIGTERM");
      const again = await nerve.again();
      scene.closes(() => again.stop());
      await scene.refused(id, reason, again);
      await until(async () => (await again.ready()).status === 200, { what: "it is ready again" });
      expect(scene.entries().map(({ container }) => container)).toEqual([other.slice(0, 12)]);
      expect(scene.writes(other).every(({ document }) => document !== undefined)).toBe(true);
      await scene.removes(other, () => scene.engine.docker("kill", other));
    },
  );

  scenario(stage, "B7 an internal network: the container's own address, never the host's", async (scene) => {
    const name = await scene.network("--internal");
    // Docker lets nobody but the engine's own host into such a network, and the common nerve is not on that host.
    const labels = { ...inNetwork(name), "smartstack.check": "none" };
    const id = await scene.web({ network: name, expose: [80], labels });
    expect(await scene.added(id)).toMatchObject({ host: await scene.engine.address(id, name), port: 80 });
    const unnamed = await scene.web({ network: name, expose: [80] });
    await scene.refused(unnamed, /port 80\/tcp is not published/);
  });
}

function attachments(stage: () => Stage): void {
  scenario(stage, "B5 disconnected: gone; connected: back", async (scene) => {
    const name = await scene.network();
    const id = await onNetworks(scene, [name, "bridge"], inNetwork(name));
    await scene.added(id);
    const { docker } = scene.engine;
    await scene.removes(id, () => docker("network", "disconnect", name, id));
    // Somebody else takes its old address.
    scene.own(await scene.engine.run({ network: name, command: serveOn(80) }));
    const { host } = await scene.adds(id, () => docker("network", "connect", name, id));
    expect(host).toBe(await scene.engine.address(id, name));
    expect(new Set(scene.writes(id).flatMap(({ document }) => document?.host ?? [])).size).toBe(2);
    expect(await docker("inspect", "--format", "{{.RestartCount}}", id)).toBe("0");
  });

  scenario(stage, "B6 started without the network, connected later: announced then", async (scene) => {
    const name = await scene.network();
    const id = await scene.web({ network: "bridge", labels: inNetwork(name) });
    await scene.refused(id, /not on network/);
    await scene.adds(id, () => scene.engine.docker("network", "connect", name, id));
    expect(scene.entries()).toMatchObject([{ host: await scene.engine.address(id, name), port: 80 }]);
  });

  scenario(
    stage,
    "B8 host network: the host's address with the port asked for; two ports and no label: refused",
    async (scene) => {
      // The common nerve is not on the engine's host, so that it cannot probe there.
      const labels = { "smartstack.check": "none" };
      const given = { network: "host", expose: [18083, 18084], command: serveOn(18083) };
      const id = await scene.web({ ...given, labels: { ...labels, "smartstack.port": "18083" } });
      expect(await scene.added(id)).toMatchObject({ host: scene.engine.hostAddress, port: 18083 });
      const unsaid = await scene.web({ ...given, command: serveOn(18084), labels });
      await scene.refused(unsaid, /18083.*18084/);
    },
  );

  scenario(stage, "B10 no network: nothing, and the reason is logged once", async (scene) => {
    const name = `${scene.service}-alone`;
    const id = await scene.web({ name, network: "none", expose: [80] });
    await scene.refused(id, /no network/);
    await scene.caughtUp(id);
    const lines = scene.stage.nerve.child.output().split("\n");
    const reasons = lines.filter((line) => line.includes("it has no network") && line.includes(scene.service));
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toContain(name);
  });

  scenario(stage, "B14 no docker.advertise, the registry on this machine: refused, never 127.x", async (scene) => {
    const docker = { host: scene.engine.host, node: scene.service, filter: { label: scene.label } };
    const nerve = await scene.nerve({ ...docker, advertise: undefined });
    const id = await scene.web({ private: true });
    await scene.refused(id, /set docker\.advertise/, nerve);
  });
}

function bindings(stage: () => Stage): void {
  const host = (scene: Scene): string => scene.engine.hostAddress;
  const bridge = async (scene: Scene): Promise<string> => {
    const format = "{{(index .IPAM.Config 0).Gateway}}";
    return scene.engine.docker("network", "inspect", "--format", format, "bridge");
  };
  const table: readonly (readonly [string, (own: string) => string[], (own: string, advertised: string) => object])[] =
    [
      ["all of IPv4", () => ["0.0.0.0:18101:80"], (_, advertised) => ({ host: advertised, port: 18101 })],
      ["one address", (own) => [`${own}:18103:80`], (own) => ({ host: own, port: 18103 })],
      ["two bindings", () => ["18105:80", "18104:80"], (_, advertised) => ({ host: advertised, port: 18104 })],
    ];
  for (const [name, publish, expected] of table) {
    scenario(stage, `B11 published on ${name}`, async (scene) => {
      const own = await bridge(scene);
      const id = await scene.web({ publish: publish(own) });
      expect(await scene.added(id)).toMatchObject(expected(own, host(scene)));
      expect(scene.entries()).toHaveLength(1);
    });
  }

  const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["nothing", [], /port 80\/tcp is not published/],
    ["another port", ["81"], /port 80\/tcp is not published/],
    ["a loopback address", ["127.0.0.5:18106:80"], /published on 127\.0\.0\.5 only/],
    // An engine binds the two families apart: nothing would answer at the advertised IPv4 address.
    ["all of IPv6", ["[::]:18102:80"], /published on :: only/],
  ];
  for (const [name, publish, reason] of refusals) {
    scenario(stage, `B11 published on ${name}: refused`, async (scene) => {
      const id = await scene.web({ publish, labels: { "smartstack.port": "80" } });
      await scene.refused(id, reason);
    });
  }

  scenario(
    stage,
    "B12 three bindings of one port: the lowest of IPv4, looked at as often as you like",
    async (scene) => {
      const id = await scene.web({ publish: ["18112:80", "18111:80", "[::1]:18110:80"] });
      expect(await scene.added(id)).toMatchObject({ host: host(scene), port: 18111 });
      for (let look = 0; look < 5; look++) await scene.caughtUp(id);
      expect(scene.writes(id)).toHaveLength(1);
    },
  );
}

function ports(stage: () => Stage): void {
  scenario(stage, "B15 three ports and no label: refused, listing them", async (scene) => {
    const id = await scene.web({ publish: ["82", "81", "443"] });
    await scene.refused(id, /81.*82.*443/);
  });

  scenario(stage, "B15 a port nobody listens on: not announced, and the check says why", async (scene) => {
    const id = await scene.web({ labels: { "smartstack.port": "90" }, publish: ["90"] });
    await scene.caughtUp(id);
    const reason = async (): Promise<string> => (await scene.status(id))?.registrations[0]?.reason ?? "";
    await until(async () => /ECONNREFUSED/.test(await reason()), { what: "the check's reason" });
    expect(scene.writes(id)).toEqual([]);
  });

  scenario(stage, "B16 one port over TCP and UDP: two entries, kept apart", async (scene) => {
    const labels = { "smartstack.service": "", "smartstack.53.service": scene.service };
    const id = await scene.web({
      publish: ["18153:53/udp", "18153:53/tcp"],
      labels: { ...labels, "smartstack.53/udp.service": scene.service },
      command: serveOn(53),
    });
    const entries = await scene.offered(2);
    const found = entries.map(({ id: entry, protocol = "tcp", port }) => `${entry} ${protocol} ${port}`).sort();
    expect(found).toEqual([`${id.slice(0, 12)}-53 tcp 18153`, `${id.slice(0, 12)}-53-udp udp 18153`]);
  });
}
