import { imageName, portText, samePort } from "../containers.ts";
import type { Convention } from "./convention.ts";

/**
 * docker-register's rule: a container with exactly one port, which is published, is offered under its image's
 * repository, and listened for at the container's port. No label is needed, so every such container is taken.
 */
export const dockerRegister: Convention = {
  env: undefined,
  read({ ports, published, image }) {
    const [port] = ports;
    const open = port?.protocol === "tcp" && published.some((binding) => samePort(binding, port));
    if (port === undefined || ports.length > 1 || !open) return { keys: new Map(), warnings: [] };
    const name = imageName(image);
    if (name === undefined)
      return { keys: new Map(), nameless: `its image ${image} has no name: set smartstack.service`, warnings: [] };
    const shown = `image ${image}`;
    const keys = new Map([
      ["service", { value: name, shown }],
      [`${portText(port)}.listen`, { value: String(port.port), shown }],
    ]);
    return { keys, warnings: [] };
  },
};
