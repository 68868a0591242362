import { describe, expect } from "vitest";
import { type Scene, scenario } from "./support/scene.ts";
import type { Stage } from "./support/stage.ts";

const UNNAMED = { "smartstack.service": "" };

const serveOn = (...ports: readonly number[]): string[] => [
  "sh",
  "-c",
  `${ports.map((port) => `busybox httpd -f -p ${port}`).join(" & ")}`,
];

/** A container that says in registrator's words what it is. */
function registered(scene: Scene, env: Readonly<Record<string, string>>, ...ports: readonly number[]): Promise<string> {
  const publish = ports.map(String);
  return scene.web({ env, labels: UNNAMED, publish, command: serveOn(...ports) });
}

/** Group C, as far as other tools' words go. */
export function conventions(stage: () => Stage): void {
  describe("C by convention", () => {
    names(stage);
    tags(stage);
    precedence(stage);
  });
}

function names(stage: () => Stage): void {
  scenario(stage, "C1 registrator's example of two services in one container", async (scene) => {
    const [https, http] = [`${scene.service}-https`, `${scene.service}-http`];
    const env = {
      SERVICE_443_NAME: https,
      SERVICE_443_ID: "https.12345",
      SERVICE_443_SNI: "enabled",
      SERVICE_80_NAME: http,
      SERVICE_TAGS: "www",
    };
    const id = await registered(scene, env, 443, 80);
    const port = async (of: number): Promise<number> =>
      Number((await scene.engine.docker("port", id, String(of))).split("\n")[0]?.split(":").pop());
    expect(await scene.offered(1, https)).toMatchObject([
      { port: await port(443), labels: { id: "https.12345", sni: "enabled", tags: "www" } },
    ]);
    const [plain] = await scene.offered(1, http);
    expect(plain).toMatchObject({ port: await port(80) });
    expect(plain?.labels).toEqual({ tags: "www" });
  });

  scenario(stage, "C3 SERVICE_IGNORE: all, one port, and false", async (scene) => {
    const env = { SERVICE_NAME: scene.service };
    const all = await registered(scene, { ...env, SERVICE_IGNORE: "true" }, 80);
    const one = await registered(scene, { ...env, SERVICE_80_NAME: scene.service, SERVICE_82_IGNORE: "yes" }, 80, 82);
    const no = await registered(scene, { ...env, SERVICE_IGNORE: "false" }, 80);
    const entries = await scene.offered(2);
    expect(entries.map(({ id }) => id).sort()).toEqual([one, no].map((id) => `${id.slice(0, 12)}-80`).sort());
    expect((await scene.status(no))?.warnings.join()).toMatch(/SERVICE_IGNORE.*taken for no/);
    await scene.caughtUp(all);
    expect(scene.writes(all)).toEqual([]);
  });

  scenario(
    stage,
    "C7 docker-register's rule: the image's name without place and tag, the container's port",
    async (scene) => {
      const image = `registry.example:5000/team/${scene.service}:1.2`;
      await scene.engine.docker("tag", "smartstack-test/web", image);
      scene.closes(() => scene.engine.docker("rmi", image));
      await scene.nerve({ conventions: ["docker-register"] });
      const given = { private: true, labels: UNNAMED };
      const id = await scene.web({ ...given, image });
      expect(await scene.added(id)).toMatchObject({ listen: 80 });
      const two = await scene.web({ ...given, image, publish: ["80", "81"] });
      const named = await scene.web({ ...given, image, labels: { "smartstack.service": `${scene.service}-own` } });
      await scene.added(named);
      expect(await scene.offered(1, `${scene.service}-own`)).toHaveLength(1);
      expect(await scene.offered(1)).toMatchObject([{ container: id.slice(0, 12) }]);
      expect(scene.writes(two)).toEqual([]);
      await scene.engine.remove(id, two, named);
    },
  );
}

function tags(stage: () => Stage): void {
  scenario(stage, "C2 lists of tags: empty ones are dropped, an escaped comma belongs to its tag", async (scene) => {
    const env = {
      SERVICE_NAME: scene.service,
      SERVICE_80_TAGS: "foo,bar\\,baz",
      SERVICE_81_TAGS: ",,,,foo,,,bar,,,",
      SERVICE_82_TAGS: "\\,x\\,",
    };
    await registered(scene, env, 80, 81, 82);
    const tagsAt = async (port: number): Promise<unknown> =>
      (await scene.offered(1, `${scene.service}-${port}`)).map(({ labels }) => (labels as { tags?: string }).tags);
    expect(await tagsAt(80)).toEqual(["foo,bar\\,baz"]);
    expect(await tagsAt(81)).toEqual(["foo,bar"]);
    expect(await tagsAt(82)).toEqual(["\\,x\\,"]);
  });
}

function precedence(stage: () => Stage): void {
  scenario(
    stage,
    "C4 a label beats the environment, own beats foreign, a port's own beats what is said of all",
    async (scene) => {
      const [wrong, right] = [`${scene.service}-wrong`, `${scene.service}-right`];
      const byEnv = { SERVICE_NAME: wrong };
      const cases = [
        { env: byEnv, labels: { ...UNNAMED, SERVICE_NAME: right } },
        { env: byEnv, labels: { "smartstack.service": right } },
        { labels: { "smartstack.service": right, SERVICE_NAME: wrong, SERVICE_80_NAME: wrong } },
        { env: { ...byEnv, SERVICE_80_NAME: right }, labels: UNNAMED },
        { labels: { "smartstack.service": wrong, "smartstack.80.service": right } },
      ];
      const ids = await Promise.all(cases.map((given) => scene.web(given)));
      const entries = await scene.offered(cases.length, right);
      expect(entries.map(({ container }) => container).sort()).toEqual(ids.map((id) => id.slice(0, 12)).sort());
      expect(scene.writes(wrong)).toEqual([]);
    },
  );
}
