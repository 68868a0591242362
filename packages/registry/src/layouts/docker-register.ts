import { addressDocument, idFrom, type Layout, twoParts } from "./layout.ts";

/** docker-register: `/backends/<service>/<container>` = `ip:port`, and beside them `port`, on which clients are to find it. */
export const dockerRegister: Layout = {
  split: twoParts,
  documents(folder) {
    const port = Number(folder.get("port"));
    const listen = Number.isInteger(port) && port >= 1 && port <= 65_535 ? { listen: port } : {};
    const entries = [...folder].filter(([name]) => name !== "port");
    return new Map(entries.map(([name, text]) => [idFrom(name), addressDocument(text, { name, ...listen })]));
  },
};
