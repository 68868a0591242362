import type { ServiceStatus } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { etcdWrite } from "../support/etcd.ts";
import { freePort } from "../support/ports.ts";
import { zookeeperWrite } from "../support/zookeeper.ts";
import { scenario } from "./support/scene.ts";
import { PREFIX, type Stage } from "./support/stage.ts";

const NO_SERVICE = { "smartstack.service": "" };

/** Group C: names and ports by labels of our own. */
export function labels(stage: () => Stage): void {
  describe("C", () => {
    scenario(stage, "C3 ignored, one port ignored, and ignore=false", async (scene) => {
      const all = await scene.web({ labels: { "smartstack.ignore": "true" } });
      const no = await scene.web({ labels: { "smartstack.ignore": "false" } });
      const some = await scene.web({
        publish: ["80", "82"],
        labels: {
          ...NO_SERVICE,
          "smartstack.80.service": scene.service,
          "smartstack.82.service": scene.service,
          "smartstack.82.ignore": "true",
        },
      });
      await scene.added(no);
      await scene.added(some);
      expect(scene.entries(some)).toMatchObject([{ id: `${some.slice(0, 12)}-80` }]);
      await scene.caughtUp(all);
      expect(scene.writes(all)).toEqual([]);
    });

    scenario(stage, "C4 what is said of a port beats what is said of all", async (scene) => {
      const id = await scene.web({ labels: { "smartstack.weight": "7", "smartstack.80.weight": "9" } });
      expect(await scene.added(id)).toMatchObject({ weight: 9 });
    });

    scenario(
      stage,
      "C6 a label with nonsense: that container alone is left out, and the label is named",
      async (scene) => {
        const bad = await scene.web({ labels: { "smartstack.port": "abc" } });
        const good = await scene.web();
        await scene.added(good);
        await scene.refused(bad, /smartstack\.port.*abc/);
        expect(scene.entries()).toHaveLength(1);
      },
    );

    scenario(stage, "C7 no name by label: that of the compose service", async (scene) => {
      const id = await scene.web({
        labels: { ...NO_SERVICE, "smartstack.port": "80", "com.docker.compose.service": scene.service },
      });
      await scene.added(id);
      expect(await scene.offered(1)).toMatchObject([{ container: id.slice(0, 12) }]);
    });

    scenario(stage, "C7 no name at all, and all are taken: the image's, without its place and tag", async (scene) => {
      const image = `registry.example:5000/team/${scene.service}:1.2`;
      await scene.engine.docker("tag", "smartstack-test/web", image);
      try {
        await scene.nerve({ expose_by_default: true });
        const id = await scene.web({ image, private: true, labels: NO_SERVICE });
        await scene.added(id);
        expect(await scene.offered(1)).toMatchObject([{ container: id.slice(0, 12) }]);
        await scene.engine.remove(id);
      } finally {
        await scene.engine.docker("rmi", image);
      }
    });

    scenario(stage, "C8 an empty label counts as absent", async (scene) => {
      const id = await scene.web({
        labels: { "smartstack.network": "", "smartstack.weight": "", "smartstack.port": "" },
      });
      expect(await scene.added(id)).not.toHaveProperty("weight");
      const unnamed = await scene.web({ labels: NO_SERVICE });
      await scene.caughtUp(unnamed);
      expect(scene.writes(unnamed)).toEqual([]);
      expect(scene.stage.ledger.changes.filter(({ path }) => /(^|\/)(\/|$)/.test(path))).toEqual([]);
    });

    scenario(stage, "C10 two ports, two services, one container", async (scene) => {
      const other = `${scene.service}-other`;
      const serve = "busybox httpd -f -p 8000 & exec busybox httpd -f -p 9000";
      const id = await scene.web({
        publish: ["8000", "9000"],
        labels: { ...NO_SERVICE, "smartstack.8000.service": scene.service, "smartstack.9000.service": other },
        command: ["sh", "-c", serve],
      });
      expect(await scene.offered(1)).toMatchObject([{ id: `${id.slice(0, 12)}-8000` }]);
      expect(await scene.offered(1, other)).toMatchObject([{ id: `${id.slice(0, 12)}-9000` }]);
    });

    scenario(stage, "C11 a service that nobody gave a port: it alone is idle, the others follow", async (scene) => {
      const idle = `${scene.service}-idle`;
      const { registry, server } = scene.stage;
      const write = registry === "etcd" ? etcdWrite : zookeeperWrite;
      const path = `${PREFIX}/${idle}/foreign`;
      await write(server.endpoint, path, JSON.stringify({ host: "192.0.2.1", port: 80 }));
      scene.closes(() => write(server.endpoint, path, undefined));
      const synapse = await scene.synapse();
      const shown = async (name: string): Promise<ServiceStatus | undefined> =>
        (await synapse.services()).find((service) => service.name === name);
      await until(async () => (await shown(idle))?.problems.join().includes("on which port to listen"), {
        what: "the reason",
      });
      const labels = { "smartstack.listen": String(await freePort()) };
      const routed = async (...ids: readonly string[]): Promise<void> => {
        const wanted = ids.map((id) => id.slice(0, 12)).sort();
        const found = async (): Promise<string[]> =>
          ((await shown(scene.service))?.backends ?? []).flatMap(
            ({ usable, container }) => (usable && container) || [],
          );
        await until(async () => (await found()).sort().join() === wanted.join(), { what: `routed: ${wanted.join()}` });
      };
      const first = await scene.web({ labels });
      await routed(first);
      const second = await scene.web({ labels });
      await routed(first, second);
      await scene.engine.docker("kill", first);
      await routed(second);
      expect(await shown(idle)).toMatchObject({ listeners: [], backends: [{ usable: false }] });
    });
  });
}
