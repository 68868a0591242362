import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { ETCD_IMAGE, NODE_IMAGE, SMARTSTACK_IMAGE } from "./container.ts";
import { type OwnEngine, startDocker } from "./docker.ts";
import { buildSmartstackImage, importEtcdImage, importNodeImage } from "./image.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where test processes ask for the engine they share. */
    sharedEngine: string;
  }
}

const BUILDERS: Readonly<Record<string, (engine: OwnEngine) => Promise<void>>> = {
  [NODE_IMAGE]: importNodeImage,
  [ETCD_IMAGE]: importEtcdImage,
  [SMARTSTACK_IMAGE]: buildSmartstackImage,
};

/** Vitest's global setup: one engine for a whole run, made when the first test asks, so that runs without Docker stay fast. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let engine: Promise<OwnEngine> | undefined;
  const images = new Map<string, Promise<void>>();

  const prepare = async (image: string): Promise<OwnEngine> => {
    engine ??= startDocker();
    const started = await engine;
    const build = BUILDERS[image];
    if (build === undefined) throw new Error(`no such test image: ${image}`);
    if (image === SMARTSTACK_IMAGE) await prepare(NODE_IMAGE);
    if (!images.has(image)) images.set(image, build(started));
    await images.get(image);
    return started;
  };

  const server = createServer((request, response) => {
    prepare(decodeURIComponent((request.url ?? "/").slice(1))).then(
      ({ slot }) => response.end(JSON.stringify(slot)),
      (error: unknown) => response.writeHead(500).end(String(error instanceof Error ? error.message : error)),
    );
  });
  // An image build may take longer than Node's default limit for a request.
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("sharedEngine", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  return async () => {
    await closeServer(server);
    if (engine !== undefined) (await engine).stop();
  };
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
